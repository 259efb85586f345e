import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../src/cli/command.ts';
import { paint } from '../src/text/paint.ts';
import { inline, plain } from '../src/text/plain.ts';
import { counted } from '../src/text/quantity.ts';

export default class Tap extends DeyeCommand {
  static override summary = 'Print messages as they come, by pattern.';
  static override description =
    '"*" stands for one segment, "#" at the end for any number. Goes on until Ctrl-C, or until --count messages came; survives a restart of the broker.';
  static override examples = [
    { description: 'See tasks being routed', command: `<%= config.bin %> tap 'control.tasks.#'` },
    {
      description: 'Two patterns, for a program',
      command: `<%= config.bin %> tap 'events.process.*' 'alerts.#' --json`,
    },
  ];
  static override strict = false;
  static override args = { pattern: Args.string({ required: true, description: 'one or more patterns' }) };
  static override flags = {
    count: Flags.integer({ char: 'n', description: 'end after so many messages', min: 1 }),
    exclude: Flags.string({
      char: 'x',
      description: 'leave out what matches this',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Tap);
    const client = await this.connect(flags, { role: 'observer', reconnect: true });
    client.onState((state, why) => {
      if (state === 'connected') this.note('connected again');
      else if (why !== undefined) this.note(`${state}: ${plain(why.message, 1000)}`);
    });
    // A program that reads gets JSON unless it asks for something else.
    const piped = flags.output === undefined && !process.stdout.isTTY;
    const print = await this.printer({ ...flags, json: flags.json || piped });
    let left = flags.count ?? Number.POSITIVE_INFINITY;
    const messages = await client.subscribe(argv as string[], { exclude: flags.exclude ?? [] });
    this.note(`listening on ${counted(argv.length, 'pattern')}: ${argv.map((one) => plain(String(one))).join(' ')}`);
    for await (const { topic, body, headers } of messages) {
      const atMs = Date.now();
      const people = () =>
        `${paint('gray', new Date(atMs).toISOString().slice(11, 23))} ${paint('cyan', plain(topic))} ${inline(body, 2000)}`;
      print({ at_ms: atMs, topic, body, ...(headers === undefined ? {} : { headers }) }, people);
      if (--left === 0) break;
    }
  }
}
