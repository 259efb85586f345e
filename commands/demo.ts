import { bannerText, bringUp, troubleText } from '../src/cli/banner.ts';
import { DeyeCommand } from '../src/cli/command.ts';
import { exitCodes } from '../src/cli/exit.ts';
import { progressLines } from '../src/cli/progress.ts';
import { submittedText } from '../src/cli/task-print.ts';
import { showTop } from '../src/cli/top.ts';
import { valueText } from '../src/cli/value-print.ts';

const whereNext = `
Where to go next:
  npx deye top                                        watch it live
  npx deye task submit enumerate_processes --wait     the same again
  npx deye tap 'control.tasks.#'                      see tasks being routed
  npx deye collectors ls                              who can do what
  npx deye broker stop                                stop all of it`;

export default class Demo extends DeyeCommand {
  static override summary =
    'Show deye at work: start it, list the processes of this machine as a task, open the window.';
  static override description = 'Leaves the broker running. On a terminal it ends in "deye top"; press q to leave it.';
  static override examples = ['<%= config.bin %> demo'];

  async run(): Promise<void> {
    const { flags } = await this.parse(Demo);
    const options = { socket: flags.socket, collectors: true };
    const up = await bringUp(options, (socket) => this.connect({ socket }, { reconnect: true }), progressLines());
    this.log(`${bannerText(up, options)}\n`);
    for (const line of troubleText(up)) this.note(line);
    const client = await this.connect({ socket: up.socket }, { reconnect: true });
    const fields = ['pid', 'user', 'state', 'cpu_percent', 'memory_bytes', 'name', 'command_line'];
    const submitted = await client.submit({
      operation: 'enumerate_processes',
      payload: { fields, sort: 'memory_bytes', limit: 15 },
    });
    this.log(`enumerate_processes  ${submittedText(submitted)}\n`);
    const ended = await client.wait(submitted.id, { timeoutMs: 30_000 });
    if (ended.state !== 'completed') this.exit(exitCodes.taskFailed);
    this.log(valueText(ended.result));
    this.log(whereNext);
    if (process.stdout.isTTY && process.stdin.isTTY) await showTop(client, flags, (line) => this.log(line));
  }
}
