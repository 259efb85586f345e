import { Args, Flags } from '@oclif/core';
import { DeyeCommand, exitCodes } from '../../src/cli/command.ts';
import { readDuration, readJson, readPairs } from '../../src/cli/input.ts';
import { resultText, submittedText, taskText } from '../../src/cli/task-print.ts';
import type { TaskSubmit } from '../../src/protocol/shape.ts';

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
    payload: Flags.string({ char: 'p', description: 'JSON, - for standard input, or @file' }),
    priority: Flags.string({ description: 'critical, high, normal, low, or 0 to 255', default: 'normal' }),
    wait: Flags.boolean({ char: 'w', description: 'wait for the end and print the result' }),
    'wait-timeout': Flags.string({ description: 'how long to wait', default: '60s' }),
    timeout: Flags.string({ description: 'time limit of one attempt, such as 30s' }),
    retries: Flags.integer({ description: 'how often a failed attempt is repeated', min: 0 }),
    id: Flags.string({ description: 'a UUIDv7 of your own; the same id again adds nothing' }),
    requires: Flags.string({
      description: 'a capability the collector must have',
      multiple: true,
      multipleNonGreedy: true,
    }),
    label: Flags.string({
      char: 'l',
      description: 'a label the collector must have, key=value',
      multiple: true,
      multipleNonGreedy: true,
    }),
    collector: Flags.string({ description: 'this collector and no other' }),
    type: Flags.string({ description: 'collectors of this type only' }),
    meta: Flags.string({
      description: 'metadata for the collector, key=value',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TaskSubmitCommand);
    const task: TaskSubmit = {
      operation: args.operation,
      priority: (/^\d+$/.test(flags.priority) ? Number(flags.priority) : flags.priority) as NonNullable<
        TaskSubmit['priority']
      >,
      labels: readPairs(flags.label, 'label'),
      metadata: readPairs(flags.meta, 'metadata'),
      requires: flags.requires ?? [],
      ...(flags.payload === undefined ? {} : { payload: await readJson(flags.payload, 'payload') }),
      ...(flags.timeout === undefined ? {} : { timeout_ms: readDuration(flags.timeout) }),
      ...(flags.retries === undefined ? {} : { max_retries: flags.retries }),
      ...(flags.id === undefined ? {} : { id: flags.id }),
      ...(flags.collector === undefined ? {} : { collector_id: flags.collector }),
      ...(flags.type === undefined ? {} : { collector_type: flags.type }),
    };
    const client = await this.connect(flags, { reconnect: true });
    const submitted = await client.submit(task);
    if (!flags.wait) return this.print(submitted, flags, () => submittedText(submitted));
    if (submitted.warning !== undefined || process.stderr.isTTY) this.note(submittedText(submitted));
    const ended = await client.wait(submitted.id, { timeoutMs: readDuration(flags['wait-timeout']) });
    if (ended.state !== 'completed') process.exitCode = exitCodes.taskFailed;
    await this.print(ended, flags, () => (ended.state === 'completed' ? resultText(ended.result) : taskText(ended)));
  }
}
