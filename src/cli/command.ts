/** What every command shares: the flags, one client, output for people and programs, errors with their exit codes. */
import { Command, Errors, Flags, type Interfaces } from '@oclif/core';
import { type Client, connect } from '../client/client.ts';
import type { ConnectOptions } from '../client/dial.ts';
import { findSocket } from '../configuration/place.ts';
import { TransportError } from '../transport/error.ts';
import { commandError, report } from './error.ts';
import { endingSignals, exitCodes, signalNames } from './exit.ts';
import { notEmpty } from './flags.ts';
import { hint } from './hint.ts';
import { formatOf, formats, formatted, itemFormatter, type OutputFlags } from './output.ts';
import { namedIn } from './place.ts';
import { wantsJson } from './wants-json.ts';

interface ConnectHow extends Pick<ConnectOptions, 'role' | 'reconnect'> {
  /** What to do where no broker runs. Default: start one. */
  readonly advice?: string | undefined;
}

/** Values by the names of their flags or arguments. */
type Parsed = Record<string, unknown>;

/** Of those that have no flag for the broker that they ask, if any. */
export abstract class PlainCommand extends Command {
  static override baseFlags = {
    json: Flags.boolean({
      description: 'the same as --output json',
      exclusive: ['output'],
      helpGroup: 'GLOBAL',
    }),
    output: Flags.option({
      char: 'o',
      options: formats,
      description: 'how to print what was found',
      helpGroup: 'GLOBAL',
    })(),
  };

  readonly #clients: Client[] = [];

  /** A connection that is closed when the command ends. */
  protected async connect(
    flags: { readonly socket?: string | undefined },
    { advice = `Start one with: ${hint('deye broker start', flags)}`, ...options }: ConnectHow = {},
  ): Promise<Client> {
    const place = await findSocket(flags.socket);
    try {
      const client = await connect({
        name: `deye ${this.#words()}`.trim(),
        version: this.config.version,
        reconnect: false,
        ...options,
        socket: place.value,
      });
      this.#clients.push(client);
      return client;
    } catch (cause) {
      if (!(cause instanceof TransportError) || cause.code !== 'broker_not_running') throw cause;
      const stopping = await (await import('./held.ts')).stoppingAt(place, flags);
      if (stopping !== undefined) throw stopping;
      throw new TransportError(
        'broker_not_running',
        `No broker is running on ${place.value}${namedIn(place)}. ${advice}`.trimEnd(),
        { cause },
      );
    }
  }

  /** Prints `data` as asked; `people` is what a person sees by default. */
  protected async print(data: unknown, flags: OutputFlags, people: () => string): Promise<void> {
    this.log(await formatted(data, formatOf(flags), people));
  }

  /** Prints item after item, for commands that go on; the returned function takes one. */
  protected async printer(flags: OutputFlags): Promise<(item: unknown, people: () => string) => void> {
    const format = await itemFormatter(formatOf(flags));
    return (item, people) => this.log(format(item, people));
  }

  /** A line for people beside the data: progress, a hint, a warning. */
  protected note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  /** An argument that is there and empty is most often a variable of a script that is not set. */
  protected override async parse<F extends Parsed, B extends Parsed, A extends Parsed>(
    options?: Interfaces.Input<F, B, A>,
    argv?: string[],
  ): Promise<Interfaces.ParserOutput<F, B, A>> {
    const parsed = await super.parse(options, argv);
    for (const [name, value] of Object.entries(parsed.args))
      if (value === '')
        throw new Errors.CLIError(`The argument ${name.toUpperCase()} is empty.`, { exit: exitCodes.usage });
    return parsed;
  }

  override async init(): Promise<void> {
    await super.init();
    for (const name of signalNames) process.once(name, () => process.exit(endingSignals[name]));
  }

  override async finally(error: Error | undefined): Promise<void> {
    for (const client of this.#clients) await client.close();
    await super.finally(error);
  }

  override async catch(error: Error & { readonly code?: string }): Promise<void> {
    if (error instanceof Errors.ExitError) throw error;
    this.parsed = true; // else oclif warns of a command that was called wrongly, as if it were ours
    const printed = commandError(error, this.#words());
    report(printed, wantsJson(this.argv));
    if (printed.code === 'internal' && process.env.DEYE_DEBUG !== undefined) process.stderr.write(`${error.stack}\n`);
  }

  #words(): string {
    return this.id?.replaceAll(':', ' ') ?? '';
  }
}

export abstract class DeyeCommand extends PlainCommand {
  static override baseFlags = {
    socket: Flags.string({
      description: "path of the broker's socket; else DEYE_SOCKET, else socket in deye.yaml",
      helpGroup: 'GLOBAL',
      parse: notEmpty,
    }),
    ...PlainCommand.baseFlags,
  };
}
