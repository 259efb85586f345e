import { Args } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { exitCodes } from '../../src/cli/exit.ts';
import { verifiedText } from '../../src/cli/store-print.ts';

export default class StoreVerify extends DeyeCommand {
  static override summary = 'Read every byte of a store and say whether it is whole; changes nothing.';
  static override description =
    `Reads every segment, batch and record of the journal and every row of the book, checks their checksums, and lists
what it finds, with its place and what to do. While a broker writes to the store it looks at what is synced. Exits with
1 when something that was acknowledged is damaged; a note alone is no damage.`;
  static override examples = [
    '<%= config.bin %> store verify',
    '<%= config.bin %> store verify /mnt/backup/state --json',
  ];
  static override args = {
    dir: Args.directory({ description: 'the state directory; else that of the broker' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreVerify);
    const found = await (await import('../../src/cli/store-work.ts')).verify(args.dir);
    await this.print(found, flags, () => verifiedText(found));
    if (!found.is_whole) process.exitCode = exitCodes.failed;
  }
}
