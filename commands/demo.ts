import { bannerText, bringUp, troubleText } from '../src/cli/banner.ts';
import { DeyeCommand } from '../src/cli/command.ts';
import { exitCodes } from '../src/cli/exit.ts';
import { hint } from '../src/cli/hint.ts';
import { formatOf } from '../src/cli/output.ts';
import { progressLines } from '../src/cli/progress.ts';
import { submittedText } from '../src/cli/task-print.ts';
import { showTop } from '../src/cli/top.ts';
import { valueText } from '../src/cli/value-print.ts';

const next = [
  ['top', 'watch it live'],
  ['task submit enumerate_processes --wait', 'the same again'],
  ["tap 'control.tasks.#'", 'see tasks being routed'],
  ['collectors ls', 'who can do what'],
  ['broker stop', 'stop all of it'],
] as const;

export default class Demo extends DeyeCommand {
  static override summary =
    'Show deye at work: start it, list the processes of this machine as a task, open the window.';
  static override description = 'Leaves the broker running. On a terminal it ends in "deye top"; press q to leave it.';
  static override examples = ['<%= config.bin %> demo', '<%= config.bin %> demo --json'];

  async run(): Promise<void> {
    const { flags } = await this.parse(Demo);
    const options = { socket: flags.socket, collectors: true };
    const up = await bringUp(options, (socket) => this.connect({ socket }, { reconnect: true }), progressLines());
    const isTable = formatOf(flags) === 'table';
    if (isTable) this.log(`${bannerText(up, options)}\n`);
    for (const line of troubleText(up)) this.note(line);
    const client = await this.connect({ socket: up.socket }, { reconnect: true });
    const fields = ['pid', 'user', 'state', 'cpu_percent', 'memory_bytes', 'name', 'command_line'];
    const submitted = await client.submit({
      operation: 'enumerate_processes',
      payload: { fields, sort: 'memory_bytes', limit: 15 },
    });
    if (isTable) this.log(`enumerate_processes  ${submittedText(submitted)}\n`);
    const ended = await client.wait(submitted.id, { timeoutMs: 30_000 });
    if (ended.state !== 'completed') this.exit(exitCodes.taskFailed);
    const whereNext = next.map(([command, what]) => `  ${hint(`npx deye ${command}`, flags).padEnd(50)}  ${what}`);
    await this.print({ ...up, task: ended }, flags, () =>
      [valueText(ended.result), '', 'Where to go next:', ...whereNext].join('\n'),
    );
    if (!isTable) return;
    if (process.stdout.isTTY && process.stdin.isTTY) await showTop(client, flags, (line) => this.log(line));
  }
}
