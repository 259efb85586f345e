import { DeyeCommand } from '../../src/cli/command.ts';
import { stateDirFlag } from '../../src/cli/flags.ts';
import { compactedText } from '../../src/cli/store-print.ts';

export default class StoreCompact extends DeyeCommand {
  static override summary = 'Make the files of the store as small as what is in them.';
  static override description =
    `Writes what lives to new segments of the journal, removes the others, and gives the book's free pages back. The broker
that runs on the store does it while everything goes on; without one it is done here. A broker keeps both small by
itself: this is for after much was deleted, and for a payload that was found damaged, which goes with its segment. It
may be interrupted at any time, and needs room for what lives. Some segments are kept ready all the time, so that what
was accepted can be ended on a full disk.`;
  static override examples = [
    '<%= config.bin %> store compact',
    '<%= config.bin %> store compact --state-dir ~/b --json',
  ];
  static override flags = {
    'state-dir': stateDirFlag('the state directory of the broker'),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(StoreCompact);
    const { compact } = await import('../../src/cli/store-work.ts');
    const done = await compact(flags, (...to) => this.connect(...to));
    await this.print(done, flags, () => compactedText(done));
  }
}
