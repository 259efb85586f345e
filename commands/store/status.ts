import { DeyeCommand } from '../../src/cli/command.ts';
import { stateDirFlag } from '../../src/cli/flags.ts';
import { statusText } from '../../src/cli/store-print.ts';

export default class StoreStatus extends DeyeCommand {
  static override summary = 'Say what the store holds, and how far it is written, synced and taken into its book.';
  static override description =
    `Asks the broker that runs on the store; without one it reads the files, and changes nothing.`;
  static override examples = ['<%= config.bin %> store status', '<%= config.bin %> store status --json'];
  static override flags = {
    'state-dir': stateDirFlag('the state directory of the broker'),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(StoreStatus);
    const { status } = await import('../../src/cli/store-work.ts');
    const found = await status(flags, (...to) => this.connect(...to));
    await this.print(found, flags, () => statusText(found));
  }
}
