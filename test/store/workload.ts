/** Random commits that a broker could make, from what the store holds. */
import type { StoredTask, StoreRecord } from '../../src/core/record.ts';
import { isEnded } from '../../src/protocol/state.ts';
import { moved, submitted } from '../conformance/records.ts';
import { type Expected, expectedAfter } from './expected.ts';

const liveMax = 14;
const bodiesMax = 16_000;

export class Workload {
  readonly #chance: () => number;
  #nextSeq = 1;
  #atMs = 1000;
  #bodies = 0;
  /** How often a step is a setting, or a submit. */
  readonly #settings: number;
  readonly #submits: number;

  constructor(chance: () => number) {
    this.#chance = chance;
    [this.#settings, this.#submits] = chance() < 0.2 ? [0.6, 0.1] : [0.08, 0.3];
  }

  get nowMs(): number {
    return this.#atMs;
  }

  /** A start says which `seq` is next. */
  startAt(nextSeq: number): void {
    this.#nextSeq = nextSeq;
  }

  /** One commit: some steps, one after the other. */
  commit(expected: Expected): StoreRecord[] {
    const records: StoreRecord[] = [];
    let now = expected;
    this.#bodies = 0;
    for (let count = this.#chance() < 0.6 ? 1 : 1 + this.#int(5); count > 0; count--) {
      const step = this.#step(now);
      records.push(...step);
      now = expectedAfter(now, step);
    }
    return records;
  }

  #int(below: number): number {
    return Math.floor(this.#chance() * below);
  }

  #step({ tasks }: Expected): StoreRecord[] {
    const live = [...tasks.values()].filter(({ state }) => !isEnded(state));
    const dice = this.#chance();
    if (dice < this.#settings) return [this.#setting()];
    const task = live[this.#int(live.length)];
    if (task === undefined || (dice < this.#settings + this.#submits && live.length < liveMax)) return [this.#submit()];
    const isCancelled = this.#chance() < 0.15;
    switch (task.state) {
      case 'in_progress':
        return this.#end(task);
      case 'retrying':
        return [this.#move(task, isCancelled ? 'cancelled' : 'pending')];
      default:
        return [isCancelled ? this.#move(task, 'cancelled') : this.#assign(task)];
    }
  }

  #body(): Uint8Array {
    const most = this.#chance() < 0.15 ? 9000 : 500;
    const length = Math.min(this.#int(most), bodiesMax - this.#bodies);
    this.#bodies += length;
    return new Uint8Array(length).fill(this.#int(256));
  }

  #submit(): StoreRecord {
    const seq = this.#nextSeq++;
    const submittedAtMs = this.#atMs++;
    const operation = this.#chance() < 0.5 ? 'scan' : 'hash';
    return { ...submitted(seq, `t${seq}`, { operation, payload: this.#body() }), submittedAtMs } as StoreRecord;
  }

  #assign({ seq, attempt }: StoredTask): StoreRecord {
    const collectorId = `c${this.#int(3)}`;
    const at = { attempt: attempt + 1, token: `${this.#int(99)}.${attempt}`, atMs: this.#atMs++ };
    return moved(seq, 'in_progress', { ...at, collectorId });
  }

  #move(task: StoredTask, state: 'pending' | 'cancelled'): StoreRecord {
    const { attempt, token, excluded } = task;
    return moved(task.seq, state, { attempt, token, excluded, atMs: this.#atMs++ });
  }

  #end({ seq, attempt, token, collectorId = 'c0', atMs }: StoredTask): StoreRecord[] {
    const dice = this.#chance();
    const error = dice < 0.6 ? undefined : { code: 'broken', message: 'it broke' };
    const [startedAtMs, endedAtMs] = [atMs, this.#atMs++];
    const outcome = error === undefined ? 'completed' : 'failed';
    const ended = { kind: 'attempt', seq, attempt, collectorId, startedAtMs, endedAtMs, outcome, error } as const;
    const at = { attempt, token, atMs: endedAtMs, error };
    if (error === undefined) return [ended, moved(seq, 'completed', { ...at, result: this.#body() })];
    if (dice < 0.75) return [ended, moved(seq, 'dead_letter', at)];
    const delayMs = this.#int(5000);
    const span = { delayMs, readyAtMs: endedAtMs + delayMs, excluded: [collectorId] };
    return [ended, moved(seq, 'retrying', { ...at, ...span })];
  }

  #setting(): StoreRecord {
    const value = this.#chance() < 0.3 ? undefined : `v${this.#int(1000)}`;
    return { kind: 'setting', namespace: 'default', key: `k${this.#int(4)}`, value };
  }
}
