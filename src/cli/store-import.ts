/** Reads an export into a new state directory, whole or not at all: every line, the counts and the checksum are checked first. */
import { createReadStream } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { z } from 'zod';
import { limitTable } from '../protocol/limits.ts';
import { isEnded } from '../protocol/state.ts';
import { buildDirectory } from '../store/new-directory.ts';
import { NewStore, SameIdError } from '../store/new-store.ts';
import { StoreError } from '../store/port.ts';
import type { Progress } from '../store/progress.ts';
import { shellQuoted } from '../text/shell.ts';
import {
  type ExportEnd,
  exportVersion,
  type Header,
  headerSchema,
  importedTask,
  lineSchema,
  parseLine,
  wrongIn,
} from './export-lines.ts';

const lineBytesMax = limitTable.exportLineBytesMax.value;

const standardInput = 'standard input';
const gzipMagic = Buffer.from([0x1f, 0x8b]);

const isGzip = (parts: readonly Buffer[]): boolean =>
  Buffer.concat(parts).subarray(0, gzipMagic.length).equals(gzipMagic);

export interface Imported extends Pick<ExportEnd, 'settings' | 'tasks'> {
  readonly directory: string;
  readonly of_store: string;
  readonly epoch: number;
}

/** `file`: its path, or undefined for standard input. `to` must be missing or empty. */
export async function importStore(file: string | undefined, to: string, progress: Progress): Promise<Imported> {
  const source = file === undefined ? process.stdin : createReadStream(file);
  const reading = new ImportLines(source, file ?? standardInput);
  const header = await reading.header();
  return buildDirectory(to, async (draft) => {
    await using store = await NewStore.create(draft, header.epoch);
    const counts = await reading.into(store, (seq) => progress('reading tasks', seq, header.next_seq));
    await store.add({ kind: 'expired', beforeMs: header.expired_before_ms });
    await store.finish(header.next_seq);
    return { directory: to, of_store: header.store_id, epoch: store.epoch, ...counts };
  });
}

class ImportLines {
  readonly #name: string;
  readonly #lines: AsyncGenerator<Buffer>;
  /** Of the line that was read last, from 1. */
  #line = 0;
  #crc = 0;
  #nextSeq = 1;

  constructor(source: AsyncIterable<Buffer>, name: string) {
    this.#name = name;
    this.#lines = this.#split(source);
  }

  async header(): Promise<Header> {
    const { value: line } = await this.#lines.next();
    const value = line && this.#parsed(line);
    const version = (value as { readonly deye_export?: unknown } | undefined)?.deye_export;
    if (typeof version !== 'number') throw this.#refusal('it does not begin as an export of deye does');
    if (version > exportVersion)
      throw new StoreError(
        'export_newer',
        `${this.#name} is an export of version ${version}; this deye knows up to ${exportVersion}. Use the newer one.`,
      );
    const header = this.#checked(headerSchema, value);
    this.#nextSeq = header.next_seq;
    return header;
  }

  async into(store: NewStore, each: (seq: number) => void): Promise<Pick<ExportEnd, 'settings' | 'tasks'>> {
    try {
      return await this.#read(store, each);
    } catch (error) {
      throw error instanceof SameIdError ? this.#refusal('a task is in it twice', error) : error;
    }
  }

  async #read(store: NewStore, each: (seq: number) => void): Promise<Pick<ExportEnd, 'settings' | 'tasks'>> {
    const live = new Set<string>();
    let [settings, tasks, latest] = [0, 0, 0];
    for (;;) {
      const crc = this.#crc;
      const { value: line, done } = await this.#lines.next();
      if (done === true) throw this.#refusal('it is cut off: its last line, with the counts, is missing');
      const found = this.#checked(lineSchema, this.#parsed(line));
      if ('end' in found) {
        const { end } = found;
        if (end.settings !== settings || end.tasks !== tasks || end.crc !== crc)
          throw this.#refusal(
            `it has changed: ${settings} settings and ${tasks} tasks (CRC-32 ${crc}) are not the ${end.settings} and ${end.tasks} (${end.crc}) of its last line`,
          );
        for (const id of store.ended([...live])) throw this.#twice(id);
        if ((await this.#lines.next()).done !== true) throw this.#refusal('something follows its last line');
        return { settings, tasks };
      }
      if ('setting' in found) {
        await store.add({ kind: 'setting', namespace: 'default', ...found.setting });
        settings++;
        continue;
      }
      const task = importedTask(found.task);
      const { seq, spec } = task.task;
      if (seq <= latest || seq >= this.#nextSeq) throw this.#refusal(`task number ${seq} is out of order`);
      if (live.has(spec.id)) throw this.#twice(spec.id);
      if (!isEnded(task.task.state)) live.add(spec.id);
      latest = seq;
      tasks++;
      each(seq);
      await store.put(task);
    }
  }

  #parsed(line: Buffer): unknown {
    try {
      return parseLine(line.toString('utf8'));
    } catch (cause) {
      throw this.#refusal(`line ${this.#line} is no JSON`, cause);
    }
  }

  #checked<T>(schema: z.ZodType<T>, value: unknown): T {
    const { success, data, error } = schema.safeParse(value);
    if (success) return data;
    throw this.#refusal(`line ${this.#line} is no line of an export (${wrongIn(error)})`, error);
  }

  #twice(id: string): StoreError {
    return this.#refusal(`task ${id} is in it twice`);
  }

  #refusal(what: string, cause?: unknown): StoreError {
    return new StoreError(
      'export_damaged',
      `${this.#name} cannot be imported: ${what}. Nothing was written; export again.`,
      { cause },
    );
  }

  #compressed(): StoreError {
    const file = this.#name;
    const [what, unpacked] = file === standardInput ? ['It', 'zcat FILE.gz'] : [file, `zcat ${shellQuoted(file)}`];
    return new StoreError(
      'export_damaged',
      `${what} is compressed with gzip. Unpack it on the way, with: ${unpacked} | deye store import - --state-dir DIR`,
    );
  }

  async *#split(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let parts: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of source)
        for (let at = 0; at < chunk.length; ) {
          const feed = chunk.indexOf(0x0a, at);
          const part = chunk.subarray(at, feed === -1 ? chunk.length : feed + 1);
          at += part.length;
          if (this.#line === 0 && size < gzipMagic.length && isGzip([...parts, part])) throw this.#compressed();
          parts.push(part);
          size += part.length;
          if (size > lineBytesMax) throw this.#refusal(`line ${this.#line + 1} is longer than ${lineBytesMax} bytes`);
          if (feed === -1) continue;
          const line = Buffer.concat(parts);
          [parts, size] = [[], 0];
          this.#line++;
          this.#crc = crc32(line, this.#crc);
          yield line;
        }
    } catch (cause) {
      if (cause instanceof StoreError) throw cause;
      throw new StoreError('store_unavailable', `${this.#name} cannot be read: ${(cause as Error).message}.`, {
        cause,
      });
    }
    if (size > 0) throw this.#refusal(`it is cut off in line ${this.#line + 1}`);
  }
}
