import { Args, Flags } from '@oclif/core';
import { PlainCommand } from '../../src/cli/command.ts';
import { exitCodes } from '../../src/cli/exit.ts';
import { startHint } from '../../src/cli/start-hint.ts';
import { salvagedText } from '../../src/cli/store-print.ts';

export default class StoreSalvage extends PlainCommand {
  static override summary = 'Write all that is whole in a damaged store into a new one, and name what is not.';
  static override description =
    `DIR is not touched, and no broker may run on it. The new store has an id and an epoch of its own; a broker starts on
it. When something that was acknowledged is missing, all of it is named and nothing is written, exit code 1, unless
--accept-gap is given. What a crash left half written was never acknowledged and is no gap.`;
  static override examples = [
    '<%= config.bin %> store salvage ~/.local/state/deye ~/salvaged',
    '<%= config.bin %> store salvage ~/.local/state/deye ~/salvaged --accept-gap --json',
  ];
  static override args = {
    dir: Args.directory({ required: true, description: 'the state directory that is damaged' }),
    new_dir: Args.directory({
      required: true,
      description: 'the state directory to make; store in it must be missing or empty',
    }),
  };
  static override flags = {
    'accept-gap': Flags.boolean({ description: 'write what is whole although something acknowledged is missing' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreSalvage);
    const { salvage } = await import('../../src/cli/store-work.ts');
    const salvaged = await salvage(args.dir, args.new_dir, flags['accept-gap']);
    const start = await startHint(salvaged.directory);
    await this.print(salvaged, flags, () => salvagedText(salvaged, start));
    if (!salvaged.is_written) process.exitCode = exitCodes.failed;
  }
}
