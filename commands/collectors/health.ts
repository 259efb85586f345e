import { Args } from '@oclif/core';
import { healthText } from '../../src/cli/collector-print.ts';
import { DeyeCommand } from '../../src/cli/command.ts';
import type { Health } from '../../src/protocol/view-schema.ts';

export default class CollectorsHealth extends DeyeCommand {
  static override summary = 'Ask a collector how it is.';
  static override description = 'Exits with 1 when it is unhealthy or unknown.';
  static override examples = ['<%= config.bin %> collectors health procmond'];
  static override args = { id: Args.string({ required: true, description: 'id of the collector' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(CollectorsHealth);
    const client = await this.connect(flags, { role: 'observer' });
    const health = (await client.call(args.id, 'health_check', {}, { timeoutMs: 10_000 })) as Health;
    if (health.status === 'unhealthy') process.exitCode = 1;
    await this.print(health, flags, () => healthText(args.id, health));
  }
}
