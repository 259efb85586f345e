import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { exitCodes } from '../../src/cli/exit.ts';
import { durationHelp, readDuration } from '../../src/cli/input.ts';
import { formatOf } from '../../src/cli/output.ts';
import { withBodies } from '../../src/cli/task-bodies.ts';
import { taskFlags, taskFrom } from '../../src/cli/task-input.ts';
import { submittedText, syncNote, taskText } from '../../src/cli/task-print.ts';
import { valueText } from '../../src/cli/value-print.ts';
import type { Submitted, Sync } from '../../src/protocol/schema.ts';

export default class TaskSubmitCommand extends DeyeCommand {
  static override summary = 'Submit a task; returns when it is on disk, or, with --wait, when it has ended.';
  static override description =
    'The exit code is 3 when the awaited task failed and 124 when it took longer than --wait-timeout; it goes on then.';
  static override examples = [
    {
      description: 'List the processes of this machine',
      command: '<%= config.bin %> task submit enumerate_processes --wait',
    },
    {
      description: 'The five that use the most memory, for a program',
      command: `<%= config.bin %> task submit enumerate_processes -p '{"sort":"memory_bytes","limit":5}' --wait --json`,
    },
    {
      description: 'Payload from standard input, urgent',
      command: 'cat scan.json | <%= config.bin %> task submit scan -p - --priority critical',
    },
  ];
  static override args = {
    operation: Args.string({ required: true, description: 'what is to be done; see: deye collectors ls' }),
  };
  static override flags = {
    ...taskFlags,
    wait: Flags.boolean({ char: 'w', description: 'wait for the end and print the result' }),
    'wait-timeout': Flags.string({ description: durationHelp('how long to wait'), default: '60s' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TaskSubmitCommand);
    const task = await taskFrom(args.operation, flags);
    const client = await this.connect(flags, { reconnect: true });
    const submitted: Submitted & { readonly sync?: Sync } = await client.submit(task);
    const note = formatOf(flags) === 'table' ? syncNote(submitted.sync) : undefined;
    if (note !== undefined) this.note(note);
    if (!flags.wait) return this.print(submitted, flags, () => submittedText(submitted));
    if (submitted.warning !== undefined || process.stderr.isTTY) this.note(submittedText(submitted));
    const ended = await client.wait(submitted.id, { timeoutMs: readDuration(flags['wait-timeout']) });
    if (ended.state === 'completed') return this.print(ended, flags, () => valueText(ended.result));
    process.exitCode = exitCodes.taskFailed;
    const failed = await withBodies(client, ended);
    await this.print(failed, flags, () => taskText(failed, flags));
  }
}
