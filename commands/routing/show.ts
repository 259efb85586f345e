import { DeyeCommand } from '../../src/cli/command.ts';
import { routingText } from '../../src/cli/routing-print.ts';

export default class RoutingShow extends DeyeCommand {
  static override summary = 'Show the routing strategy and what it has decided.';
  static override examples = ['<%= config.bin %> routing show'];

  async run(): Promise<void> {
    const { flags } = await this.parse(RoutingShow);
    const routing = await (await this.connect(flags, { role: 'observer' })).request('routing.show', {});
    await this.print(routing, flags, () => routingText(routing));
  }
}
