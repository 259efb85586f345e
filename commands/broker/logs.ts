import { Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { stateDirFlag } from '../../src/cli/flags.ts';
import { findLog, followLog } from '../../src/cli/follow.ts';
import { logEntry, prettyLogLine } from '../../src/cli/log-line.ts';

export default class BrokerLogs extends DeyeCommand {
  static override summary = "Print the broker's log, and what its collectors wrote.";
  static override description =
    'The log is rotated when it reaches the limit log_bytes_max; log_files_max files are kept. --follow goes on over a rotation. It is found by the state directory, or, where a socket is named before one, by asking the broker there.';
  static override examples = [
    '<%= config.bin %> broker logs -n 50',
    '<%= config.bin %> broker logs --follow',
    '<%= config.bin %> broker logs --json | jq .msg',
  ];
  static override flags = {
    lines: Flags.integer({ char: 'n', description: 'how many of the last lines', default: 100, min: 0 }),
    follow: Flags.boolean({ char: 'f', description: 'go on as lines come' }),
    config: Flags.file({ description: 'configuration file instead of ./deye.yaml', env: 'DEYE_CONFIG' }),
    'state-dir': stateDirFlag('the state directory of the broker'),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(BrokerLogs);
    const { lines, follow } = flags;
    const place = { socket: flags.socket, stateDir: flags['state-dir'], file: flags.config };
    const path = await findLog(place, (socket) => this.connect({ socket }, { role: 'observer' }));
    const print = await this.printer(flags);
    await followLog(path, { lines, follow }, (line) => print(logEntry(line), () => prettyLogLine(line)));
  }
}
