import { Args } from '@oclif/core';
import { PlainCommand } from '../../src/cli/command.ts';
import { newStateDirFlag } from '../../src/cli/flags.ts';
import { startHint } from '../../src/cli/start-hint.ts';
import { restoredText } from '../../src/cli/store-print.ts';

export default class StoreRestore extends PlainCommand {
  static override summary = 'Make a state directory of a backup, for a broker to start on.';
  static override description =
    `Checks every file against the manifest of the backup, and that all it promises is there. What was in progress when the
backup was made is handed out again. Do not run both stores against the same outside world: a task that waited in the
backup may have been done since.`;
  static override examples = [
    '<%= config.bin %> store restore /mnt/backup/deye-monday --state-dir ~/restored',
    '<%= config.bin %> broker start --state-dir ~/restored --socket ~/restored/broker.sock',
  ];
  static override args = {
    backup: Args.directory({ required: true, description: 'what deye store backup made' }),
  };
  static override flags = {
    'state-dir': newStateDirFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreRestore);
    const { restore } = await import('../../src/cli/store-work.ts');
    const restored = await restore(args.backup, flags['state-dir']);
    const start = await startHint(restored.directory);
    await this.print(restored, flags, () => restoredText(restored, start));
  }
}
