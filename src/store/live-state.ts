/**
 * What lives, as the fold of the journal, and where each of it has its last full record. What is written and what is read
 * back go the same way; what has ended goes on to the feed of the book.
 */
import type { JournalRecord, RecordOf } from '../core/record.ts';
import { storeLevel } from '../core/record-bytes.ts';
import { type Durable, type DurableTask, fullRecord, newDurable, replay } from '../core/replay.ts';
import { isEnded } from '../protocol/state.ts';
import { Living, type LivingKey } from './living.ts';
import { StoreError } from './port.ts';

const counterKey = 'counter';
const levelKey = 'level';
const settingKey = (key: string): string => `setting ${key}`;
/** Bytes of a full record beside its payload, about. */
const fullBytes = 300;

/** Gets what is not in the book yet, in order. */
interface Ends {
  attempt(record: RecordOf<'attempt'>): void;
  purge(record: RecordOf<'purged'>): void;
  /** @param full the batch of the task's last full record. */
  end(task: DurableTask, moved: RecordOf<'moved'>, batch: number, full: number): void;
}

export class LiveState {
  readonly durable: Durable = newDurable();
  readonly #seqOf = new Map<string, number>();
  readonly #living = new Living();
  #payloadBytes = 0;

  /** A task that has not ended. */
  task(id: string): DurableTask | undefined {
    const seq = this.#seqOf.get(id);
    return seq === undefined ? undefined : this.durable.tasks.get(seq);
  }

  /** What its full records take, about. */
  get bytes(): number {
    return this.#payloadBytes + this.#living.size * fullBytes;
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
    if (key === levelKey) return { kind: 'level', level: storeLevel };
    const name = key.slice(settingKey('').length);
    return { kind: 'setting', namespace: 'default', key: name, value: this.durable.settings.get(name)! };
  }

  /**
   * A record of that batch.
   * @param ends undefined when it is in the book.
   */
  fold(record: JournalRecord, batch: number, ends: Ends | undefined): void {
    const before = 'seq' in record ? this.durable.tasks.get(record.seq) : undefined;
    replay(this.durable, record);
    switch (record.kind) {
      case 'submitted':
      case 'task':
        if (before === undefined) this.#payloadBytes += record.spec.payload.length;
        this.#seqOf.set(record.spec.id, record.seq);
        return this.#living.written(record.seq, batch);
      case 'moved':
        if (before !== undefined && isEnded(record.state)) this.#end(before, record, batch, ends);
        return;
      case 'attempt':
        return ends?.attempt(record);
      case 'purged':
        return ends?.purge(record);
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
    this.#payloadBytes -= task.spec.payload.length;
    this.#seqOf.delete(task.spec.id);
    const full = this.#living.ended(task.seq);
    ends?.end(task, moved, batch, full ?? batch);
  }
}

const tooNew = (level: number): StoreError =>
  new StoreError(
    'store_newer',
    `The journal has level ${level}; this deye knows up to ${storeLevel}. Start the newer deye that wrote it.`,
  );
