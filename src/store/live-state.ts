/**
 * What lives, as the fold of the journal, and where each of it has its last full record. What is written and what is read
 * back go the same way; what has ended goes on to the feed of the book.
 */
import { absentBody, present } from '../core/body.ts';
import type { JournalRecord, RecordOf } from '../core/record.ts';
import { storeLevel } from '../core/record-bytes.ts';
import { specBytes } from '../core/record-size.ts';
import { type Durable, type DurableTask, fullRecord, newDurable, replay } from '../core/replay.ts';
import { isEnded } from '../protocol/state.ts';
import { Living, type LivingKey } from './living.ts';
import { type Payloads, type Place, placeOf } from './payloads.ts';
import { StoreError } from './port.ts';
import { SeqOrder } from './seq-order.ts';

const counterKey = 'counter';
const levelKey = 'level';
const expiredKey = 'expired';
const settingKey = (key: string): string => `setting ${key}`;
/** About as many bytes as a text has, and quickly. */
const lengthOf = (text: string): number => text.length;

/** Gets what is not in the book yet, in order. */
interface Ends {
  attempt(record: RecordOf<'attempt'>): void;
  delete(record: RecordOf<'purged' | 'trimmed'>): void;
  /**
   * @param full the batch of the task's last full record.
   * @param place of its payload, when that is not in memory.
   */
  end(task: DurableTask, moved: RecordOf<'moved'>, batch: number, full: number, place: Place | undefined): void;
}

/** Where a record stands: its batch, and how far it reaches in the body of that. */
interface RecordPlace {
  readonly batch: number;
  readonly end: number;
}

export class LiveState {
  readonly durable: Durable = newDurable();
  readonly #seqOf = new Map<string, number>();
  readonly #order = new SeqOrder();
  readonly #living = new Living();
  readonly #payloads: Payloads;
  #specBytes = 0;
  /** Tasks of the batch that is being made whose payloads may leave memory when it is safe. */
  #unsettled: { readonly task: DurableTask; readonly place: Place }[] = [];
  /** Payloads that were written again by batches that are not safe yet, by the `seq` of their task; and those of the last. */
  readonly #moves = new Map<number, Place>();
  #moved: { readonly seq: number; readonly place: Place }[] = [];

  constructor(payloads: Payloads) {
    this.#payloads = payloads;
  }

  /** Whether a task with this id has not ended. */
  has(id: string): boolean {
    return this.#seqOf.has(id);
  }

  /** A task that has not ended. */
  task(id: string): DurableTask | undefined {
    const seq = this.#seqOf.get(id);
    return seq === undefined ? undefined : this.durable.tasks.get(seq);
  }

  /** Tasks accepted before one, the newest first; those that end meanwhile may be left out. */
  *newest(beforeSeq: number): Generator<DurableTask | undefined> {
    for (const seq of this.#order.below(beforeSeq)) yield this.durable.tasks.get(seq);
  }

  /** What its full records take, about. */
  get bytes(): number {
    return this.#specBytes;
  }

  /** What has the oldest full record, and the batch that holds it. */
  get oldest(): { readonly key: LivingKey; readonly batch: number } | undefined {
    return this.#living.oldest;
  }

  /** What every store has and this one has not yet. */
  missing(): JournalRecord[] {
    return [levelKey, counterKey].filter((key) => !this.#living.has(key)).map((key) => this.fullRecord(key));
  }

  fullRecord(key: LivingKey): JournalRecord {
    if (typeof key === 'number') return fullRecord(this.durable.tasks.get(key)!);
    if (key === counterKey) return { kind: 'counted', nextSeq: this.durable.nextSeq };
    if (key === expiredKey) return { kind: 'expired', beforeMs: this.durable.expiredBeforeMs };
    if (key === levelKey) return { kind: 'level', level: storeLevel };
    const name = key.slice(settingKey('').length);
    return { kind: 'setting', namespace: 'default', key: name, value: this.durable.settings.get(name)! };
  }

  /**
   * As `fold`, of a record that is read back: it keeps none of the bytes that it was read from, which are those of a whole
   * segment, and a payload that there is no room for stays where it is.
   */
  foldRead(record: JournalRecord, at: RecordPlace, ends: Ends | undefined): void {
    if (record.kind === 'moved' && record.result !== undefined)
      return this.#fold({ ...record, result: new Uint8Array(record.result) }, at, ends, undefined);
    if (record.kind !== 'submitted' && record.kind !== 'task') return this.#fold(record, at, ends, undefined);
    const { spec } = record;
    const payload = present(spec.payload);
    const isKept = this.#payloads.fits(payload.length);
    spec.payload = isKept ? pooled(payload) : absentBody(payload.length);
    this.#fold(record, at, ends, isKept ? undefined : placeOf(payload, at.batch, at.end));
  }

  /** @param ends undefined when it is in the book. */
  fold(record: JournalRecord, at: RecordPlace, ends: Ends | undefined): void {
    this.#fold(record, at, ends, undefined);
    if (record.kind !== 'submitted' || this.#payloads.fits(0)) return;
    const place = placeOf(present(record.spec.payload), at.batch, at.end);
    this.#unsettled.push({ task: this.durable.tasks.get(record.seq)!, place });
  }

  /** What the latest batch left unsettled; call the answer when that is safe. */
  cut(): () => void {
    const [unsettled, moved] = [this.#unsettled, this.#moved];
    [this.#unsettled, this.#moved] = [[], []];
    return () => {
      for (const { task, place } of unsettled)
        if (this.durable.tasks.get(task.seq) === task) this.#payloads.settle(task.seq, task.spec, place);
      for (const { seq, place } of moved) {
        if (this.#moves.get(seq) !== place) continue; // its task has ended
        this.#moves.delete(seq);
        this.#payloads.move(seq, place);
      }
    };
  }

  /** A full record was written again, with this payload. */
  rewritten(key: LivingKey, at: RecordPlace, payload: Uint8Array | undefined): void {
    this.#living.written(key, at.batch);
    const isAway = typeof key === 'number' && this.#payloads.place(key) !== undefined;
    if (!isAway || payload === undefined) return;
    const place = placeOf(payload, at.batch, at.end);
    this.#moves.set(key, place);
    this.#moved.push({ seq: key, place });
  }

  /** What has its full record in the batches up to this one, the oldest first. */
  upTo(batch: number): Iterable<LivingKey> {
    return this.#living.upTo(batch);
  }

  #fold(record: JournalRecord, { batch }: RecordPlace, ends: Ends | undefined, place: Place | undefined): void {
    const before = 'seq' in record ? this.durable.tasks.get(record.seq) : undefined;
    replay(this.durable, record);
    switch (record.kind) {
      case 'submitted':
      case 'task':
        if (before !== undefined) this.#drop(before);
        this.#specBytes += specBytes(record.spec, lengthOf);
        this.#payloads.add(record.seq, record.spec, place);
        this.#seqOf.set(record.spec.id, record.seq);
        if (before === undefined) this.#order.add(record.seq);
        return this.#living.written(record.seq, batch);
      case 'moved':
        if (before !== undefined && isEnded(record.state)) this.#end(before, record, batch, ends);
        return;
      case 'attempt':
        return ends?.attempt(record);
      case 'purged':
      case 'trimmed':
        return ends?.delete(record);
      case 'expired':
        return this.#living.written(expiredKey, batch);
      case 'setting':
        if (record.value === undefined) this.#living.ended(settingKey(record.key));
        else this.#living.written(settingKey(record.key), batch);
        return;
      case 'counted':
        return this.#living.written(counterKey, batch);
      case 'level':
        if (record.level > storeLevel) throw tooNew(record.level);
        return this.#living.written(levelKey, batch);
    }
  }

  #end(task: DurableTask, moved: RecordOf<'moved'>, batch: number, ends: Ends | undefined): void {
    const place = this.#drop(task);
    this.#seqOf.delete(task.spec.id);
    this.#order.compact(this.durable.tasks.size, (seq) => this.durable.tasks.has(seq));
    const full = this.#living.ended(task.seq);
    ends?.end(task, moved, batch, full ?? batch, place);
  }

  #drop({ seq, spec }: DurableTask): Place | undefined {
    this.#specBytes -= specBytes(spec, lengthOf);
    const place = this.#payloads.remove(seq, spec);
    const moved = this.#moves.get(seq);
    this.#moves.delete(seq);
    return moved ?? place;
  }
}

/** A copy; small ones lie together in the pool of buffers. Not a Buffer, whose `slice` would not copy. */
function pooled(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = Buffer.from(bytes);
  return new Uint8Array(buffer, byteOffset, length);
}

export const tooNew = (level: number): StoreError =>
  new StoreError(
    'store_newer',
    `The journal has level ${level}; this deye knows up to ${storeLevel}. Start the newer deye that wrote it.`,
  );
