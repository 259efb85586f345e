import { Args } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';

export default class CollectorsStop extends DeyeCommand {
  static override summary = 'Stop a collector that the broker started: by request, then SIGTERM, then SIGKILL.';
  static override examples = ['<%= config.bin %> collectors stop procmond'];
  static override args = { id: Args.string({ required: true, description: 'id of the collector' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(CollectorsStop);
    const reply = await (await this.connect(flags)).request('collector.stop', { collector_id: args.id });
    await this.print(reply, flags, () => `${reply.collector_id} ${reply.status}`);
  }
}
