/**
 * One turn: everything in, one commit, then everything out. Inputs of one loop pass are stepped together. What they
 * caused leaves only when their records, and all records before them, are durable; while a commit is in flight later
 * inputs are stepped already, and their records gather for the next one (group commit). Outputs keep their order.
 */
import type { CoreState, Input, Output } from '../core/state.ts';
import { step } from '../core/step.ts';
import type { StoreRecord } from '../core/task.ts';
import type { Store } from '../store/port.ts';

export interface TurnOptions {
  readonly state: CoreState;
  readonly store: Pick<Store, 'commit'>;
  readonly nowMs: () => number;
  /** Gets the outputs in order, each as soon as it may leave. */
  readonly release: (outputs: readonly Output[]) => void;
  /** A commit failed: nothing after it will ever be released. The process must stop. */
  readonly failed: (error: Error) => void;
  /** Told of each commit that succeeded: the number of its records, and how long it took in ms. */
  readonly committed?: (records: number, tookMs: number) => void;
  readonly step?: typeof step;
}

export class Turn {
  readonly #options: TurnOptions;
  #inbox: Input[] = [];
  #records: StoreRecord[] = [];
  #outputs: Output[] = [];
  #committing = false;
  #broken = false;

  constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** Whether nothing is waiting to be stepped, committed or released. */
  get idle(): boolean {
    return !this.#committing && this.#inbox.length === 0 && this.#outputs.length === 0;
  }

  enqueue(input: Input): void {
    this.#inbox.push(input);
  }

  /** Steps what was taken. Call once per loop pass, and when a deadline of the core is due (take a `tick` first). */
  run(): void {
    const { state, nowMs, step: apply = step } = this.#options;
    const inbox = this.#inbox;
    if (inbox.length === 0) return;
    this.#inbox = [];
    const out: Output[] = [];
    const now = nowMs();
    for (const input of inbox) apply(state, input, now, out);
    for (const output of out) {
      if (output.kind === 'record') this.#records.push(output.record);
      else this.#outputs.push(output);
    }
    this.#proceed();
  }

  /** The barrier. */
  #proceed(): void {
    if (this.#committing || this.#broken) return;
    const outputs = this.#outputs;
    const records = this.#records;
    this.#outputs = [];
    this.#records = [];
    if (records.length === 0) {
      if (outputs.length > 0) this.#options.release(outputs);
      return;
    }
    this.#committing = true;
    const startedAtMs = this.#options.nowMs();
    this.#options.store.commit(records).then(
      () => {
        this.#committing = false;
        this.#options.committed?.(records.length, this.#options.nowMs() - startedAtMs);
        this.#options.release(outputs);
        this.#proceed();
      },
      (error: Error) => {
        this.#broken = true;
        this.#options.failed(error);
      },
    );
  }
}
