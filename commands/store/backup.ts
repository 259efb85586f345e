import { Args } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { stateDirFlag } from '../../src/cli/flags.ts';
import { backedUpText } from '../../src/cli/store-print.ts';

export default class StoreBackup extends DeyeCommand {
  static override summary = 'Copy the store into a new directory, from which it can be restored.';
  static override description =
    `The broker that runs on the store copies it while everything goes on: all that was acknowledged when the command began
is in the copy, which ends between two commits. Without a broker the files are copied here. The copy has a manifest with
the checksum of every file, written last: a directory without one is no backup. Interrupted, it leaves nothing. A store
that is damaged is not copied; see deye store verify.`;
  static override examples = [
    '<%= config.bin %> store backup /mnt/backup/deye-monday',
    '<%= config.bin %> store backup ./copy --state-dir ~/b --json',
  ];
  static override args = {
    to: Args.directory({
      required: true,
      description: 'the directory to make; must be missing or empty, and outside the state directory',
    }),
  };
  static override flags = {
    'state-dir': stateDirFlag('the state directory of the broker'),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreBackup);
    const { backup } = await import('../../src/cli/store-work.ts');
    const made = await backup(flags, args.to, this.config.version, (...to) => this.connect(...to));
    await this.print(made, flags, () => backedUpText(made));
  }
}
