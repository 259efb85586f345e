import { Args } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { taskText } from '../../src/cli/task-print.ts';

export default class TaskShow extends DeyeCommand {
  static override summary = 'Show one task: its state, every attempt, payload and result.';
  static override examples = ['<%= config.bin %> task show 0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10'];
  static override args = { id: Args.string({ required: true, description: 'the id that submit printed' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TaskShow);
    const task = await (await this.connect(flags, { role: 'observer' })).request('task.show', { id: args.id });
    await this.print(task, flags, () => taskText(task));
  }
}
