import { Flags } from '@oclif/core';
import { DeyeCommand } from '../src/cli/command.ts';
import { formatOf } from '../src/cli/output.ts';
import { followSnapshots, showTop, snapshotText } from '../src/cli/top.ts';

export default class Top extends DeyeCommand {
  static override summary = 'Watch queues, collectors and routing live.';
  static override description =
    'Goes on through a restart of the broker. Off a terminal it prints a line a second, with --output the whole snapshot; with --once it prints one and ends. Press ? for the keys.';
  static override examples = [
    '<%= config.bin %> top',
    '<%= config.bin %> top --once -o json',
    '<%= config.bin %> top | tee load.log',
  ];
  static override flags = { once: Flags.boolean({ description: 'one snapshot, then end' }) };

  async run(): Promise<void> {
    const { flags } = await this.parse(Top);
    const client = await this.connect(flags, { role: 'observer', reconnect: true });
    if (flags.once) {
      const snapshot = await client.request('broker.snapshot', {});
      return this.print(snapshot, flags, () => snapshotText(snapshot, flags));
    }
    if (formatOf(flags) === 'table') return showTop(client, flags, (line) => this.log(line));
    const print = await this.printer(flags);
    await followSnapshots(client, (snapshot) => print(snapshot, () => ''));
  }
}
