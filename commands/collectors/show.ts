import { Args } from '@oclif/core';
import { collectorText } from '../../src/cli/collector-print.ts';
import { DeyeCommand } from '../../src/cli/command.ts';

export default class CollectorsShow extends DeyeCommand {
  static override summary = 'Show one collector and the tasks it holds.';
  static override examples = ['<%= config.bin %> collectors show procmond'];
  static override args = { id: Args.string({ required: true, description: 'id of the collector' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(CollectorsShow);
    const collector = await (await this.connect(flags, { role: 'observer' })).request('collector.show', {
      collector_id: args.id,
    });
    await this.print(collector, flags, () => collectorText(collector));
  }
}
