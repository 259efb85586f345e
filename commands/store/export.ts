import { Args } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { stateDirFlag } from '../../src/cli/flags.ts';
import { exportedText } from '../../src/cli/store-print.ts';

export default class StoreExport extends DeyeCommand {
  static override summary = 'Write all tasks and settings as lines of JSON.';
  static override description =
    `While a broker runs it is asked for a backup, inside its state directory, which is exported and removed. A payload or result is JSON where that gives the same bytes again, and base64
of its MessagePack where not. The last line counts the others and has their checksum. deye store import reads it.`;
  static override examples = [
    '<%= config.bin %> store export tasks.jsonl',
    `<%= config.bin %> store export | jq -c 'select(.task.state == "dead_letter") | .task.spec'`,
  ];
  static override args = {
    file: Args.file({ description: 'a new file; else, or with -, standard output' }),
  };
  static override flags = {
    'state-dir': stateDirFlag('the state directory of the broker'),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreExport);
    const { exportTo } = await import('../../src/cli/store-work.ts');
    const file = args.file === '-' ? undefined : args.file;
    const exported = await exportTo(flags, file, this.config.version, (...to) => this.connect(...to));
    if (file !== undefined) await this.print(exported, flags, () => exportedText(exported));
  }
}
