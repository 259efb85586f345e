import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { restoredText } from '../../src/cli/store-print.ts';

export default class StoreRestore extends DeyeCommand {
  static override summary = 'Make a state directory of a backup, for a broker to start on.';
  static override description =
    `Checks every file against the manifest of the backup, and that all it promises is there. What was in progress when the
backup was made is handed out again. Do not run both stores against the same outside world: a task that waited in the
backup may have been done since.`;
  static override examples = [
    '<%= config.bin %> store restore /mnt/backup/deye-monday --state-dir ~/restored',
    '<%= config.bin %> broker start --state-dir ~/restored',
  ];
  static override args = {
    backup: Args.directory({ required: true, description: 'what deye store backup made' }),
  };
  static override flags = {
    'state-dir': Flags.directory({
      required: true,
      description: 'the state directory to make; store in it must be missing or empty',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreRestore);
    const { restore } = await import('../../src/cli/store-work.ts');
    const restored = await restore(args.backup, flags['state-dir']);
    await this.print(restored, flags, () => restoredText(restored));
  }
}
