import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { routingText } from '../../src/cli/routing-print.ts';

export default class RoutingSet extends DeyeCommand {
  static override summary = 'Choose how tasks are spread over the collectors that can do them.';
  static override description =
    'Takes effect at once and is remembered. "deye routing show" lists the strategies and says what each does. "default" takes back the strategy of an operation.';
  static override examples = [
    '<%= config.bin %> routing set round_robin',
    '<%= config.bin %> routing set least_loaded --operation scan',
    '<%= config.bin %> routing set default --operation scan',
  ];
  static override args = {
    strategy: Args.string({ required: true, description: 'its name, as "deye routing show" lists it' }),
  };
  static override flags = { operation: Flags.string({ description: 'for this operation only' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RoutingSet);
    const params = {
      strategy: args.strategy,
      ...(flags.operation === undefined ? {} : { operation: flags.operation }),
    };
    const client = await this.connect(flags);
    await client.request('routing.set', params);
    const routing = await client.request('routing.show', {});
    await this.print(routing, flags, () => routingText(routing));
  }
}
