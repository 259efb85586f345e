import { allCollectors } from '../../src/cli/collector-pages.ts';
import { collectorsTable } from '../../src/cli/collector-print.ts';
import { DeyeCommand } from '../../src/cli/command.ts';

export default class CollectorsLs extends DeyeCommand {
  static override summary = 'List the collectors, what they offer and how they are.';
  static override aliases = ['collectors:list'];
  static override examples = ['<%= config.bin %> collectors ls', '<%= config.bin %> collectors ls -o yaml'];

  async run(): Promise<void> {
    const { flags } = await this.parse(CollectorsLs);
    const collectors = await allCollectors(await this.connect(flags, { role: 'observer' }));
    await this.print(collectors, flags, () => collectorsTable(collectors, flags));
  }
}
