import { Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { stateDirFlag } from '../../src/cli/flags.ts';
import { stopAt } from '../../src/cli/stop.ts';

export default class BrokerStop extends DeyeCommand {
  static override summary = 'Stop the broker and the collectors it started.';
  static override description =
    `Attempts in progress may finish, for as long as the limit stop_grace_ms of the broker says (30 seconds by default);
with --immediate they are returned to the queue. Nothing that was accepted is lost either way. Returns when the process
is gone. A broker that cannot be reached, because its socket was removed, is found by its state directory;
one that is stopping already is waited for.`;
  static override examples = ['<%= config.bin %> broker stop', '<%= config.bin %> broker stop --immediate'];
  static override flags = {
    immediate: Flags.boolean({ description: 'do not wait for attempts in progress' }),
    'state-dir': stateDirFlag('the state directory of the broker'),
    config: Flags.file({ description: 'configuration file instead of ./deye.yaml', env: 'DEYE_CONFIG' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(BrokerStop);
    const place = { socket: flags.socket, stateDir: flags['state-dir'], file: flags.config };
    const type = flags.immediate ? 'immediate' : 'graceful';
    const pid = await stopAt(place, type, {
      connect: (socket) => this.connect({ socket }, { advice: '' }),
      note: (text) => this.note(text),
    });
    await this.print({ pid, stopped: true }, flags, () => `The broker (pid ${pid}) stopped.`);
  }
}
