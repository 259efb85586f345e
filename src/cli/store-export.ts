/** Writes an export, task by task, no faster than it is taken. */
import { once } from 'node:events';
import { createWriteStream, existsSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import { type Contents, readContents } from '../archive/contents.ts';
import { refused, syncDirectory } from '../store/new-directory.ts';
import { StoreError } from '../store/port.ts';
import type { Progress } from '../store/progress.ts';
import { type ExportEnd, exportedTask, exportVersion, lineOf } from './export-lines.ts';

interface ExportOptions {
  /** Of this deye. */
  readonly version: string;
  readonly wallMs: number;
  readonly progress: Progress;
}

export interface Exported extends ExportEnd {
  /** Undefined for standard output. */
  readonly file: string | undefined;
}

/** Of a store that nobody writes to; to a new file, which is there whole or not at all, or to standard output. */
export async function exportStore(
  directory: string,
  file: string | undefined,
  options: ExportOptions,
): Promise<Exported> {
  await using contents = await readContents(directory, options.progress);
  if (file === undefined) return { file, ...(await writeLines(contents, process.stdout, options)) };
  if (existsSync(file))
    throw new StoreError('target_exists', `${file} is there already. Name another file, or remove it.`);
  const draft = join(dirname(file), `.${basename(file)}.unfinished`);
  const remove = (): void => rmSync(draft, { force: true });
  process.once('exit', remove); // it is interrupted
  try {
    const stream = createWriteStream(draft, { mode: 0o600 });
    const done = finished(stream);
    const end = await Promise.race([writeLines(contents, stream, options), done.then(() => undefined)]);
    stream.end();
    await done;
    await syncToDisk(draft);
    renameSync(draft, file);
    syncDirectory(dirname(file));
    return { file, ...end! };
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw refused(cause as Error, file, 'written');
  } finally {
    process.off('exit', remove);
    remove();
  }
}

async function syncToDisk(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.sync();
}

async function writeLines(
  contents: Contents,
  to: Writable,
  { version, wallMs, progress }: ExportOptions,
): Promise<ExportEnd> {
  let [crc, settings, tasks] = [0, 0, 0];
  const write = async (value: unknown): Promise<void> => {
    const line = lineOf(value);
    crc = crc32(line, crc);
    if (!to.write(line)) await once(to, 'drain');
  };
  const { storeId: store_id, epoch, nextSeq: next_seq, expiredBeforeMs: expired_before_ms } = contents;
  const made_at_ms = wallMs;
  await write({ deye_export: exportVersion, version, store_id, epoch, made_at_ms, next_seq, expired_before_ms });
  for (const [key, value] of contents.settings) {
    await write({ setting: { key, value } });
    settings++;
  }
  for (const one of contents.tasks()) {
    await write(exportedTask(one));
    tasks++;
    if (tasks % 100 === 0) progress('writing tasks', one.task.seq, next_seq);
  }
  const end = { settings, tasks, crc };
  to.write(lineOf({ end }));
  return end;
}
