import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { routingText } from '../../src/cli/routing-print.ts';

export default class RoutingSet extends DeyeCommand {
  static override summary = 'Choose how tasks are spread over the collectors that can do them.';
  static override description =
    'least_loaded gives a task to the collector with the fewest in progress, round_robin to the next in turn. Takes effect at once and is remembered.';
  static override examples = [
    '<%= config.bin %> routing set round_robin',
    '<%= config.bin %> routing set least_loaded --operation scan',
  ];
  static override args = {
    strategy: Args.string({
      required: true,
      options: ['least_loaded', 'round_robin'] as const,
      description: 'the strategy',
    }),
  };
  static override flags = { operation: Flags.string({ description: 'for this operation only' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RoutingSet);
    const params = {
      strategy: args.strategy as 'least_loaded' | 'round_robin',
      ...(flags.operation === undefined ? {} : { operation: flags.operation }),
    };
    const routing = await (await this.connect(flags)).request('routing.set', params);
    await this.print(routing, flags, () => routingText(routing));
  }
}
