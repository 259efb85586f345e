/** What a commit has for the book: records as bytes, and tasks whose payload must be read back for their row. */

import type { BookPosition } from '../book/port.ts';
import { Writer } from '../core/bytes.ts';
import type { StoredTask } from '../core/record.ts';
import { writeRecord } from '../core/record-bytes.ts';
import { bytesOf } from '../core/record-size.ts';
import { fullRecord } from '../core/replay.ts';
import { lostPayload, type Place, type ReadBody } from './payloads.ts';

/** A task that has ended and is not in the book yet. */
export interface RecentTask extends StoredTask {
  readonly result: Uint8Array | undefined;
  /** Of its payload, when that is not in memory. */
  readonly place: Place | undefined;
}

/** Records as bytes, or one that waits for its payload. */
export type Part = Uint8Array | RecentTask;

/** What one batch has for the book. */
export interface Entry {
  readonly order: number;
  readonly position: BookPosition;
  readonly parts: readonly Part[];
  /** Of all parts, about. */
  readonly bytes: number;
  /** Of its batch in the journal. */
  readonly batchBytes: number;
  /** What ended in it, and the tasks of which an attempt did. */
  readonly ended: readonly RecentTask[];
  readonly attempted: readonly number[];
  /** It is a transaction of its own, which takes as long as retention meant it to. */
  readonly deletes: boolean;
}

/** About. */
export const bytesOfParts = (parts: readonly Part[]): number =>
  parts.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : bytesOf(fullRecord(part))), 0);

export async function recordsOf(parts: readonly Part[], read: ReadBody): Promise<Uint8Array<ArrayBuffer>> {
  const whole: Uint8Array[] = [];
  for (const part of parts) whole.push(part instanceof Uint8Array ? part : await recordOf(part, read));
  return joined(whole);
}

async function recordOf(task: RecentTask, read: ReadBody): Promise<Uint8Array> {
  const payload = (await read(task.spec.id, task.place!)) ?? lostPayload;
  const writer = new Writer(payload.length + 1024);
  writeRecord(writer, fullRecord({ ...task, spec: { ...task.spec, payload } }));
  return writer.written;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
