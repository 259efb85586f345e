/** What every command shares: the flags, one client, output for people and programs, errors with their exit codes. */
import { Command, Errors, Flags } from '@oclif/core';
import { type Client, connect } from '../client/client.ts';
import type { ConnectOptions } from '../client/dial.ts';
import { faultTable } from '../protocol/fault.ts';
import { plain } from '../tui/text.ts';

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  taskFailed: 3,
  notAllowed: 4,
  notFound: 5,
  notRunning: 69,
  tryLater: 75,
  waitedTooLong: 124,
  interrupted: 130,
} as const;

const operationalExits: Readonly<Record<string, number>> = {
  broker_not_running: exitCodes.notRunning,
  permission_denied: exitCodes.notAllowed,
  directory_unsafe: exitCodes.notAllowed,
  connection_lost: exitCodes.tryLater,
  configuration_invalid: exitCodes.usage,
  usage: exitCodes.usage,
  waited_too_long: exitCodes.waitedTooLong,
};

/** A refusal by the command itself. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'usage';
}

export abstract class DeyeCommand extends Command {
  static override baseFlags = {
    socket: Flags.string({ description: "path of the broker's socket", env: 'DEYE_SOCKET', helpGroup: 'GLOBAL' }),
    json: Flags.boolean({ description: 'the same as --output json', helpGroup: 'GLOBAL' }),
    output: Flags.option({
      char: 'o',
      options: ['table', 'json', 'jsonl', 'yaml'] as const,
      description: 'how to print what was found',
      helpGroup: 'GLOBAL',
    })(),
  };

  readonly #clients: Client[] = [];

  /** A connection that is closed when the command ends. */
  protected async connect(
    flags: { socket?: string | undefined },
    options: Pick<ConnectOptions, 'role' | 'reconnect'> = {},
  ): Promise<Client> {
    const client = await connect({
      name: `deye ${this.id?.replaceAll(':', ' ') ?? ''}`.trim(),
      version: this.config.version,
      reconnect: false,
      ...options,
      ...(flags.socket === undefined ? {} : { socket: flags.socket }),
    });
    this.#clients.push(client);
    return client;
  }

  /** Prints `data` as asked; `people` is what a person sees by default. */
  protected async print(
    data: unknown,
    flags: { json?: boolean | undefined; output?: 'table' | 'json' | 'jsonl' | 'yaml' | undefined },
    people: () => string,
  ): Promise<void> {
    const format = flags.json === true ? 'json' : (flags.output ?? 'table');
    if (format === 'table') this.log(people());
    // One line, so that what `head` lets through is still whole; indented where a person reads it.
    else if (format === 'json') this.log(JSON.stringify(data, null, process.stdout.isTTY ? 2 : 0));
    else if (format === 'jsonl') for (const one of Array.isArray(data) ? data : [data]) this.log(JSON.stringify(one));
    else this.log((await import('yaml')).stringify(data).trimEnd());
  }

  /** A line for people beside the data: progress, a hint, a warning. */
  protected note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  override async init(): Promise<void> {
    await super.init();
    process.once('SIGINT', () => process.exit(exitCodes.interrupted));
  }

  override async finally(error: Error | undefined): Promise<void> {
    for (const client of this.#clients) await client.close();
    await super.finally(error);
  }

  override async catch(error: Error & { code?: string; exitCode?: number; oclif?: { exit?: number } }): Promise<void> {
    if (error instanceof Errors.ExitError) throw error;
    const code = error.code ?? (error.oclif === undefined ? 'internal' : 'usage');
    const exit =
      operationalExits[code] ??
      (faultTable as Record<string, { exit: number }>)[code]?.exit ??
      error.oclif?.exit ??
      exitCodes.failed;
    if (this.argv.includes('--json'))
      process.stderr.write(`${JSON.stringify({ error: { code, message: error.message } })}\n`);
    else
      process.stderr.write(
        `deye: ${error.message
          .split('\n')
          .map((line) => plain(line, 2000))
          .join('\n')} [${code}]\n`,
      );
    if (code === 'internal' && process.env.DEYE_DEBUG !== undefined) process.stderr.write(`${error.stack}\n`);
    process.exitCode = exit;
  }
}
