import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../src/cli/command.ts';
import { durationHelp, readDuration, readJson } from '../src/cli/input.ts';
import { jsonText } from '../src/cli/value-print.ts';

export default class Call extends DeyeCommand {
  static override summary = 'Call a method of a collector, or of the broker, and print the answer.';
  static override examples = [
    '<%= config.bin %> call procmond get_capabilities',
    `<%= config.bin %> call any:enumerate_processes health_check`,
    `<%= config.bin %> call broker broker.log_level '{"level":"debug"}'`,
    `<%= config.bin %> call procmond stop_collection '{"reason":"maintenance"}'`,
  ];
  static override args = {
    target: Args.string({ required: true, description: 'a collector id, any:OPERATION, or broker' }),
    method: Args.string({ required: true, description: 'such as health_check' }),
    params: Args.string({ description: 'JSON, - for standard input, or @file', default: '{}' }),
  };
  static override flags = {
    timeout: Flags.string({ description: durationHelp('how long to wait for the answer'), default: '30s' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Call);
    const params = await readJson(args.params, 'params');
    const timeoutMs = readDuration(flags.timeout);
    const client = await this.connect(flags);
    const print = await this.printer(flags);
    let chunks = 0;
    const onChunk = (part: unknown): void => {
      chunks++;
      print(part, () => jsonText(part));
    };
    const answer = await client.call(args.target, args.method, params, { timeoutMs, onChunk });
    if (chunks === 0) await this.print(answer, flags, () => jsonText(answer));
  }
}
