import { Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { tasksTable } from '../../src/cli/task-print.ts';
import type { Params } from '../../src/protocol/message.ts';

export default class TaskLs extends DeyeCommand {
  static override summary = 'List tasks, the newest first.';
  static override aliases = ['task:list'];
  static override examples = [
    '<%= config.bin %> task ls --state in_progress',
    '<%= config.bin %> task ls --state failed --operation enumerate_processes -n 200 --json',
  ];
  static override flags = {
    state: Flags.option({
      char: 's',
      multiple: true,
      multipleNonGreedy: true,
      description: 'only these states; queued and failed are understood too',
      options: [
        'pending',
        'in_progress',
        'retrying',
        'completed',
        'dead_letter',
        'cancelled',
        'queued',
        'failed',
      ] as const,
    })(),
    operation: Flags.string({ description: 'only this operation' }),
    collector: Flags.string({ description: 'only those that this collector had last' }),
    limit: Flags.integer({ char: 'n', description: 'how many at most', default: 50, min: 1, max: 1000 }),
    cursor: Flags.string({ description: 'go on where an earlier page ended' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(TaskLs);
    const { state, operation, collector, limit, cursor } = flags;
    const params: Params<'task.list'> = {
      state: state ?? [],
      limit,
      ...(operation === undefined ? {} : { operation }),
      ...(collector === undefined ? {} : { collector_id: collector }),
      ...(cursor === undefined ? {} : { cursor }),
    };
    const page = await (await this.connect(flags, { role: 'observer' })).request('task.list', params);
    await this.print(flags.output === 'jsonl' ? page.tasks : page, flags, () => tasksTable(page.tasks));
    if (page.cursor !== undefined && !flags.json && flags.output === undefined)
      this.note(`There may be more: --cursor ${page.cursor}`);
  }
}
