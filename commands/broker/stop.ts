import { Flags } from '@oclif/core';
import { stopBroker } from '../../src/cli/broker-process.ts';
import { DeyeCommand } from '../../src/cli/command.ts';

export default class BrokerStop extends DeyeCommand {
  static override summary = 'Stop the broker and the collectors it started.';
  static override description =
    'Attempts in progress may finish, for up to 30 seconds; with --immediate they are returned to the queue. Nothing that was accepted is lost either way. Returns when the process is gone.';
  static override examples = ['<%= config.bin %> broker stop', '<%= config.bin %> broker stop --immediate'];
  static override flags = { immediate: Flags.boolean({ description: 'do not wait for attempts in progress' }) };

  async run(): Promise<void> {
    const { flags } = await this.parse(BrokerStop);
    const client = await this.connect(flags);
    const pid = await stopBroker(client, flags.immediate ? 'immediate' : 'graceful', (text) => this.note(text));
    await this.print({ pid, stopped: true }, flags, () => `The broker (pid ${pid}) stopped.`);
  }
}
