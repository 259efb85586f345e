import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { importedText } from '../../src/cli/store-print.ts';

export default class StoreImport extends DeyeCommand {
  static override summary = 'Make a state directory of an export, for a broker to start on.';
  static override description =
    `Whole or not at all: an export that is cut off, was changed, or is of a newer deye is refused, and nothing is left of
the try. The store has a new id, and an epoch above that of the store it was exported from.`;
  static override examples = [
    '<%= config.bin %> store import tasks.jsonl --state-dir ~/imported',
    'zcat tasks.jsonl.gz | <%= config.bin %> store import - --state-dir ~/imported',
  ];
  static override args = {
    file: Args.string({ required: true, description: 'what deye store export wrote; - is standard input' }),
  };
  static override flags = {
    'state-dir': Flags.directory({
      required: true,
      description: 'the state directory to make; store in it must be missing or empty',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreImport);
    const { importFrom } = await import('../../src/cli/store-work.ts');
    const imported = await importFrom(args.file, flags['state-dir']);
    await this.print(imported, flags, () => importedText(imported));
  }
}
