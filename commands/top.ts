import { Flags } from '@oclif/core';
import { DeyeCommand } from '../src/cli/command.ts';
import { showTop } from '../src/cli/top.ts';

export default class Top extends DeyeCommand {
  static override summary = 'Watch queues, collectors and routing live.';
  static override description =
    'Goes on through a restart of the broker. Off a terminal it prints a line a second; with --once it prints one snapshot and ends. Press ? for the keys.';
  static override examples = [
    '<%= config.bin %> top',
    '<%= config.bin %> top --once -o json',
    '<%= config.bin %> top | tee load.log',
  ];
  static override flags = { once: Flags.boolean({ description: 'one snapshot, then end' }) };

  async run(): Promise<void> {
    const { flags } = await this.parse(Top);
    const client = await this.connect(flags, { role: 'observer', reconnect: true });
    if (!flags.once) return showTop(client, (line) => this.log(line));
    const snapshot = await client.request('broker.snapshot', {});
    const { snapshotText } = await import('../src/cli/top.ts');
    await this.print(snapshot, flags, () => snapshotText(snapshot));
  }
}
