import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { showTask } from '../../src/cli/task-bodies.ts';
import { taskText } from '../../src/cli/task-print.ts';

export default class TaskShow extends DeyeCommand {
  static override summary = 'Show one task: its state, why it waits, every attempt, payload and result.';
  static override description = 'A payload or result of more than 1 MiB is left out, unless --full is given.';
  static override examples = [
    '<%= config.bin %> task show 0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10',
    '<%= config.bin %> task show 0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10 --full --json',
  ];
  static override args = { id: Args.string({ required: true, description: 'the id that submit printed' }) };
  static override flags = { full: Flags.boolean({ description: 'payload and result, however large' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TaskShow);
    const client = await this.connect(flags, { role: 'observer' });
    const task = await showTask(client, args.id, flags.full);
    await this.print(task, flags, () => taskText(task, flags));
  }
}
