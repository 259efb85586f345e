import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';

export default class TaskCancel extends DeyeCommand {
  static override summary = 'Cancel a task that waits.';
  static override examples = [
    '<%= config.bin %> task cancel 0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10 --reason "no longer needed"',
  ];
  static override args = { id: Args.string({ required: true, description: 'the id that submit printed' }) };
  static override flags = { reason: Flags.string({ description: 'kept with the task', default: '' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TaskCancel);
    const reply = await (await this.connect(flags)).request('task.cancel', { id: args.id, reason: flags.reason });
    await this.print(reply, flags, () => `${reply.id} ${reply.state}`);
  }
}
