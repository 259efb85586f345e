import { Args } from '@oclif/core';
import { PlainCommand } from '../../src/cli/command.ts';
import { UsageError } from '../../src/cli/error.ts';
import { exitCodes } from '../../src/cli/exit.ts';
import { stateDirFlag } from '../../src/cli/flags.ts';
import { verifiedText } from '../../src/cli/store-print.ts';

export default class StoreVerify extends PlainCommand {
  static override summary = 'Read every byte of a store and say whether it is whole; changes nothing.';
  static override description =
    `Reads every segment, batch and record of the journal and every row of the book, checks their checksums, and lists
what it finds, with its place and what to do; the files of a backup are compared with its manifest. While a broker writes to the store it looks at what is synced. Exits with
1 when something that was acknowledged is damaged; a note alone is no damage.`;
  static override examples = [
    '<%= config.bin %> store verify',
    '<%= config.bin %> store verify /mnt/backup/state --json',
  ];
  static override args = {
    dir: Args.directory({ description: 'the state directory; else that of the broker' }),
  };
  static override flags = {
    'state-dir': stateDirFlag('the state directory of the broker'),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreVerify);
    const named = flags['state-dir'];
    if (args.dir !== undefined && named !== undefined)
      throw new UsageError(`${args.dir} and --state-dir ${named} both name a state directory. Give one of them.`);
    const { verify } = await import('../../src/cli/store-work.ts');
    const found = await verify(args.dir ?? named, (...to) => this.connect(...to));
    await this.print(found, flags, () => verifiedText(found));
    if (!found.is_whole) process.exitCode = exitCodes.failed;
  }
}
