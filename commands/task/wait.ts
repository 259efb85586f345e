import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { exitCodes } from '../../src/cli/exit.ts';
import { durationHelp, readDuration } from '../../src/cli/input.ts';
import { withBodies } from '../../src/cli/task-bodies.ts';
import { taskText } from '../../src/cli/task-print.ts';

export default class TaskWait extends DeyeCommand {
  static override summary = 'Wait until a task has ended, and show it.';
  static override description =
    'Exits with 3 when it did not complete, and with 124 when the time is over; the task goes on then.';
  static override examples = ['<%= config.bin %> task wait 0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10 --timeout 5m'];
  static override args = { id: Args.string({ required: true, description: 'the id that submit printed' }) };
  static override flags = { timeout: Flags.string({ description: durationHelp('how long to wait'), default: '60s' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TaskWait);
    const client = await this.connect(flags, { role: 'observer', reconnect: true });
    const task = await withBodies(client, await client.wait(args.id, { timeoutMs: readDuration(flags.timeout) }));
    if (task.state !== 'completed') process.exitCode = exitCodes.taskFailed;
    await this.print(task, flags, () => taskText(task, flags));
  }
}
