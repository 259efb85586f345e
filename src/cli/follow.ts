/** The last lines of the broker's log, and those that follow, also where the log is rotated in between. */
import { closeSync, createReadStream, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { readBrokerInfo } from '../broker/broker-info.ts';
import { loadConfiguration, type Overrides } from '../broker/configuration.ts';
import type { Client } from '../client/client.ts';
import type { Snapshot } from '../protocol/view-schema.ts';
import { TransportError } from '../transport/error.ts';
import { UsageError } from './error.ts';
import { logName } from './startup.ts';

/** Enough for the last few thousand lines without reading a log of any size. */
const tailBytes = 4 * 1024 * 1024;
const lookEveryMs = 200;

/**
 * Of the state directory; or of the broker on the socket that was named: what it announces where it is the one of this
 * state directory, else what it answers.
 */
export async function findLog(place: Overrides, connect: (socket: string) => Promise<Client>): Promise<string> {
  const { stateDir, socket, namedBy } = await loadConfiguration(place);
  const path = join(stateDir, logName);
  if (place.socket === undefined && namedBy !== 'socket') return path;
  const info = readBrokerInfo(stateDir);
  const { pid, log } = info?.socket === socket ? info : await askBroker(socket, connect);
  if (log !== undefined) return log;
  throw new UsageError(
    `The broker (pid ${pid}) on ${socket} runs in the foreground: its log is on the standard error of the process that started it.`,
  );
}

async function askBroker(socket: string, connect: (socket: string) => Promise<Client>): Promise<Snapshot['broker']> {
  try {
    return (await (await connect(socket)).request('broker.snapshot', {})).broker;
  } catch (cause) {
    if (!(cause instanceof TransportError) || cause.code !== 'broker_not_running') throw cause;
    const message = `No broker is running on ${socket}, and only it could say where its log is. Name its state directory with --state-dir, and leave --socket out.`;
    throw new TransportError('broker_not_running', message, { cause });
  }
}

export async function followLog(
  path: string,
  { lines, follow }: { lines: number; follow: boolean },
  print: (line: string) => void,
): Promise<void> {
  if (sizeOf(path) === undefined)
    throw new UsageError(
      `There is no log at ${path}: no broker was started in the background with this state directory.`,
    );
  const position = new Position(path);
  for (const line of await lastLines(path, lines, position.from)) print(line);
  if (!follow) return;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    for (const line of position.advance()) print(line);
  }
}

/**
 * How far the log has been read. A rotation copies the log to `.1` and empties it, so what was not read yet is in the
 * copy, at the same offset; the copy that was `.1` at the last look shows how many rotations there were since.
 */
class Position {
  from: number;
  readonly #path: string;
  #newestCopy: string | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#newestCopy = identityOf(`${path}.1`);
    this.from = sizeOf(path) ?? 0;
  }

  /** The lines that have come since the last look. */
  advance(): string[] {
    for (;;) {
      const newestCopy = identityOf(`${this.#path}.1`);
      let { from } = this;
      const parts: Buffer[] = [];
      for (const file of this.#copiesSince()) {
        parts.push(readFrom(file, from));
        from = 0;
      }
      if ((sizeOf(this.#path) ?? 0) < from) from = 0; // emptied by another program
      const current = readFrom(this.#path, from);
      if (identityOf(`${this.#path}.1`) !== newestCopy) continue; // rotated while it was read
      // A line that is being written comes the next time.
      const whole = current.subarray(0, current.lastIndexOf(0x0a) + 1);
      this.#newestCopy = newestCopy;
      this.from = from + whole.length;
      const text = Buffer.concat([...parts, whole]).toString();
      return text === '' ? [] : text.replace(/\n$/, '').split('\n');
    }
  }

  /** The oldest first. */
  #copiesSince(): string[] {
    const copies: string[] = [];
    for (let at = 1; ; at++) {
      const file = `${this.#path}.${at}`;
      const identity = identityOf(file);
      if (identity === undefined || identity === this.#newestCopy) return copies;
      copies.unshift(file);
    }
  }
}

/** Everything from there on; nothing of a file that is gone. */
function readFrom(path: string, from: number): Buffer {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
  } finally {
    closeSync(file);
  }
}

/** From the current file up to `to`, and from older ones as far as they are needed. */
async function lastLines(path: string, most: number, to: number): Promise<string[]> {
  let found: string[] = [];
  let file = path;
  let end = to;
  for (let at = 1; ; at++) {
    const last: string[] = [];
    await read(file, Math.max(0, end - tailBytes), end, (line) => {
      last.push(line);
      if (last.length > most - found.length) last.shift();
    });
    found = [...last, ...found];
    file = `${path}.${at}`;
    const size = sizeOf(file);
    if (found.length >= most || size === undefined) return found;
    end = size;
  }
}

async function read(path: string, from: number, to: number, line: (text: string) => void): Promise<void> {
  if (to <= from) return;
  for await (const text of createInterface({ input: createReadStream(path, { start: from, end: to - 1 }) })) line(text);
}

const sizeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size;

function identityOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}:${stat.birthtimeNs}`;
}
