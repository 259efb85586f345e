/**
 * The journal folded without a broker: what lives at its end, and what ended on the way. A record that is not whole is
 * told and left out, so that one of them hides no other. One of a newer deye may change what all others mean: it ends the
 * fold, with the StoreError that a start would have.
 */
import { present } from '../core/body.ts';
import { Reader } from '../core/bytes.ts';
import type { JournalRecord, RecordOf, StoredTask } from '../core/record.ts';
import { readRecord, recordsIn, storeLevel, UnknownRecordError } from '../core/record-bytes.ts';
import { newDurable, replay } from '../core/replay.ts';
import { isEnded } from '../protocol/state.ts';
import { explainPart } from '../store/journal-error.ts';
import { tooNew } from '../store/live-state.ts';
import { StoreError } from '../store/port.ts';

interface FoldEvents {
  /** `byte`: of the body, where the record begins. */
  readonly damaged: (sequence: number, byte: number, why: Error) => void;
  readonly submitted?: (seq: number) => void;
  readonly attempt?: (record: RecordOf<'attempt'>) => void;
  readonly ended?: (task: StoredTask, moved: RecordOf<'moved'>) => void;
  readonly deleted?: (record: RecordOf<'purged' | 'trimmed'>) => void;
}

export class Fold {
  readonly durable = newDurable();
  /** For each task that lives the batch that last spoke of it. */
  readonly latest = new Map<number, number>();
  /** Small records whose task is in no batch: its `seq`, and the state that the last one gave it. */
  readonly orphans = new Map<number, RecordOf<'moved'>>();
  readonly #ended = new Set<number>();
  readonly #events: FoldEvents;

  constructor(events: FoldEvents) {
    this.#events = events;
  }

  /** How many records the batch holds. */
  batch(sequence: number, body: Uint8Array): number {
    let count = 0;
    let byte = 0;
    try {
      for (const { at, bytes } of recordsIn(body)) {
        byte = at;
        count++;
        try {
          this.#record(owned(readRecord(new Reader(bytes))), sequence);
        } catch (error) {
          if (isNewer(error)) throw explainPart(error);
          this.#events.damaged(sequence, at, error as Error);
        }
        byte += bytes.length;
      }
    } catch (error) {
      if (error instanceof StoreError) throw error;
      this.#events.damaged(sequence, byte, error as Error);
    }
    return count;
  }

  #record(record: JournalRecord, sequence: number): void {
    if (record.kind === 'level' && record.level > storeLevel) throw tooNew(record.level);
    const before = 'seq' in record ? this.durable.tasks.get(record.seq) : undefined;
    replay(this.durable, record);
    switch (record.kind) {
      case 'submitted':
        this.#events.submitted?.(record.seq);
        return this.#made(record.seq, sequence);
      case 'task':
        return this.#made(record.seq, sequence);
      case 'moved':
        return before === undefined ? this.#orphan(record) : this.#moved(before, record, sequence);
      case 'attempt':
        return this.#events.attempt?.(record);
      case 'purged':
        for (const seq of record.seqs) this.orphans.delete(seq);
        return this.#events.deleted?.(record);
      case 'trimmed':
        return this.#events.deleted?.(record);
    }
  }

  #made(seq: number, sequence: number): void {
    this.#ended.delete(seq);
    this.orphans.delete(seq);
    this.latest.set(seq, sequence);
  }

  #moved(task: StoredTask, moved: RecordOf<'moved'>, sequence: number): void {
    this.latest.set(moved.seq, sequence);
    if (!isEnded(moved.state)) return;
    this.latest.delete(moved.seq);
    this.#ended.add(moved.seq);
    this.#events.ended?.(task, moved);
  }

  #orphan(moved: RecordOf<'moved'>): void {
    if (!this.#ended.has(moved.seq)) this.orphans.set(moved.seq, moved);
  }
}

const isNewer = (error: unknown): error is Error => error instanceof UnknownRecordError || error instanceof StoreError;

/** A payload that is kept must not keep the bytes it was read from: they are those of a whole segment. */
const owned = (record: JournalRecord): JournalRecord =>
  record.kind === 'submitted' || record.kind === 'task'
    ? { ...record, spec: { ...record.spec, payload: new Uint8Array(present(record.spec.payload)) } }
    : record;
