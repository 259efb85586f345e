import { Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { pairs } from '../../src/cli/table.ts';

export default class BrokerStart extends DeyeCommand {
  static override summary = 'Start the broker, and the collectors that the configuration declares.';
  static override description =
    `Runs in the background by default and returns when the broker is ready. When a broker of this state directory is
running already, says so and exits with 0. With --foreground it stays, for supervisors such as systemd: logs go to
standard error, SIGTERM stops it gracefully.`;
  static override examples = [
    { description: 'Start it in the background', command: '<%= config.bin %> broker start' },
    {
      description: 'Run under a supervisor, without collectors',
      command: '<%= config.bin %> broker start --foreground --no-collectors',
    },
    {
      description: 'A second, separate broker',
      command: '<%= config.bin %> broker start --state-dir ~/other --socket ~/other/broker.sock',
    },
  ];
  static override flags = {
    foreground: Flags.boolean({ char: 'f', description: 'stay in the foreground' }),
    collectors: Flags.boolean({ description: 'start the declared collectors', default: true, allowNo: true }),
    'state-dir': Flags.directory({ description: 'where tasks are kept', env: 'DEYE_STATE_DIR' }),
    config: Flags.file({ description: 'configuration file instead of ./deye.yaml', env: 'DEYE_CONFIG' }),
    'log-level': Flags.option({
      options: ['error', 'warn', 'info', 'debug', 'trace'] as const,
      description: 'how much to log',
    })(),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(BrokerStart);
    const { runInForeground, startInBackground } = await import('../../src/cli/daemon.ts');
    const options = {
      socket: flags.socket,
      stateDir: flags['state-dir'],
      logLevel: flags['log-level'],
      file: flags.config,
      collectors: flags.collectors,
    };
    if (flags.foreground) this.exit(await runInForeground(options));
    const started = await startInBackground(options);
    await this.print(
      started,
      flags,
      () =>
        `${started.already_running ? 'A broker is already running.' : 'The broker runs.'}\n${pairs([
          ['pid', String(started.pid)],
          ['socket', started.socket],
          ['store', started.store],
          ['log', started.log],
          ['stop with', 'deye broker stop'],
        ])}`,
    );
  }
}
