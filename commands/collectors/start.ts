import { Args } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';

export default class CollectorsStart extends DeyeCommand {
  static override summary = 'Start a collector that the configuration declares and that is stopped or quarantined.';
  static override examples = ['<%= config.bin %> collectors start procmond'];
  static override args = { id: Args.string({ required: true, description: 'id of the collector' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(CollectorsStart);
    const reply = await (await this.connect(flags)).request('collector.start', { collector_id: args.id });
    await this.print(reply, flags, () => `${reply.collector_id} ${reply.status}`);
  }
}
