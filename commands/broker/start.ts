import { Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { stateDirFlag } from '../../src/cli/flags.ts';
import { progressLines } from '../../src/cli/progress.ts';

export default class BrokerStart extends DeyeCommand {
  static override summary = 'Start the broker, and the collectors that the configuration declares.';
  static override description =
    `Runs in the background by default and returns when the broker is ready. When a broker of this state directory is
running already, says so and exits with 0; with 1 when that one listens on another socket, and with 75 when it is
stopping. A declared collector that cannot be started is named on standard error; the broker runs without it. Collectors
get the environment of this command, secrets included, unless their declaration says otherwise with inherit_env. With
--foreground it stays, for supervisors such as systemd: logs go to standard error, SIGTERM stops it gracefully.`;
  static override examples = [
    { description: 'Start it in the background', command: '<%= config.bin %> broker start' },
    { description: 'Under a supervisor', command: '<%= config.bin %> broker start --foreground --no-collectors' },
    { description: 'Another one', command: '<%= config.bin %> broker start --state-dir ~/b --socket ~/b/broker.sock' },
  ];
  static override flags = {
    foreground: Flags.boolean({ char: 'f', description: 'stay in the foreground' }),
    collectors: Flags.boolean({ description: 'start the declared collectors', default: true, allowNo: true }),
    'state-dir': stateDirFlag('where tasks are kept'),
    config: Flags.file({ description: 'configuration file instead of ./deye.yaml', env: 'DEYE_CONFIG' }),
    'log-level': Flags.option({
      options: ['error', 'warn', 'info', 'debug', 'trace'] as const,
      description: 'how much to log',
    })(),
  };

  #foreground = false;

  async run(): Promise<void> {
    const { flags } = await this.parse(BrokerStart);
    const options = {
      socket: flags.socket,
      stateDir: flags['state-dir'],
      logLevel: flags['log-level'],
      file: flags.config,
      collectors: flags.collectors,
    };
    if (flags.foreground) {
      this.#foreground = true;
      this.exit(await (await import('../../src/cli/foreground.ts')).runInForeground(options));
    }
    const [{ startInBackground }, { startedText, startNotes }] = await Promise.all([
      import('../../src/cli/daemon.ts'),
      import('../../src/cli/banner.ts'),
    ]);
    const started = await startInBackground(options, { progress: progressLines() });
    for (const note of startNotes(started)) this.note(note);
    await this.print(started, flags, () => startedText(started, options));
  }

  /** A broker that did not start is over, whatever is left of it. */
  override async finally(error: Error | undefined): Promise<void> {
    await super.finally(error);
    if (this.#foreground && error !== undefined) process.exit();
  }
}
