/**
 * One turn: everything in, one commit, then everything out. Inputs of one loop pass are stepped together. What they
 * caused leaves only when their records, and all records before them, are durable; while a commit is in flight later
 * inputs are stepped already, and their records gather for the next one (group commit). Outputs keep their order.
 *
 * An input that needs facts from the store waits for them here, and with it the later inputs of its session.
 */
import type { Input, Output } from '../core/input.ts';
import { type Facts, noFacts, type Prefetch, prefetch, type Recall, recall } from '../core/prefetch.ts';
import type { StoreRecord } from '../core/record.ts';
import type { CoreState } from '../core/state.ts';
import { step } from '../core/step.ts';
import type { TaskState } from '../protocol/state.ts';
import type { Store } from '../store/port.ts';
import type { Now } from '../time/now.ts';

export interface TurnOptions {
  /** Where the core's state is; nobody keeps the state itself. */
  readonly core: Core;
  readonly store: Pick<Store, 'commit' | 'states'>;
  readonly now: () => Now;
  /** Asks for `run` at the end of this loop pass. */
  readonly wake: () => void;
  /** Gets the outputs in order, each as soon as it may leave. */
  readonly deliver: (outputs: readonly Output[]) => void;
  /** A commit or a look-up failed: nothing after it will ever be delivered. The process must stop. */
  readonly failed: (error: Error) => void;
  /** Called after each commit that succeeded: how many records it had, and how long it took. */
  readonly committed?: (records: number, tookMs: number) => void;
  /**
   * Whether what was stepped may be answered: always, where one broker alone decides. When not, all of it is dropped,
   * assignments with the replies, since another broker decided otherwise. The requests behind it are never answered
   * here, so whoever says no must end the sessions that made them.
   */
  readonly mayAnswer?: () => boolean;
  readonly step?: typeof step;
}

/** The one place that refers to the core's state, so that it can be replaced. */
export interface Core {
  state: CoreState;
}

interface Waiting {
  readonly inputs: Input[];
}

/** An input that is ready to be stepped, and what it was found to need. */
interface Ready {
  readonly input: Input;
  readonly recall: Recall | undefined;
  readonly facts?: Facts;
  readonly needs?: Prefetch;
}

export class Turn {
  readonly #options: TurnOptions;
  #inbox: Ready[] = [];
  #records: StoreRecord[] = [];
  #outputs: Output[] = [];
  #state: 'ready' | 'committing' | 'folding' | 'broken' = 'ready';
  /** Sessions whose latest input waits for facts, with what they sent since. */
  readonly #waiting = new Map<number, Waiting>();
  /** Look-ups that must see records which the store has not been given yet. */
  #afterCommit: (() => void)[] = [];

  constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** Whether nothing is waiting to be stepped, committed or delivered; a broken turn has nothing more to do. */
  get idle(): boolean {
    if (this.#state === 'broken') return true;
    return (
      this.#state === 'ready' && this.#inbox.length === 0 && this.#outputs.length === 0 && this.#waiting.size === 0
    );
  }

  /** Whether a commit or a look-up failed. */
  get broken(): boolean {
    return this.#state === 'broken';
  }

  /** When something of the core is due; never while nothing can be stepped, or the loop would wake again and again. */
  get nextMs(): number {
    const canStep = this.#state === 'ready' || this.#state === 'committing';
    return canStep ? this.#options.core.state.deadlines.nextMs : Number.POSITIVE_INFINITY;
  }

  /** Accepts an input; it is stepped by the next `run`, or when its facts have come. */
  enqueue(input: Input): void {
    const session = 'to' in input ? input.to.session : 'session' in input ? input.session : undefined;
    const waiting = session === undefined ? undefined : this.#waiting.get(session);
    if (waiting !== undefined) {
      waiting.inputs.push(input);
      return;
    }
    const { state } = this.#options.core;
    const needs = prefetch(state, input);
    const ready = { input, recall: recall(state, input) };
    if (needs === undefined) this.#inbox.push(ready);
    else void this.#lookUp(session!, { ...ready, needs });
    this.#options.wake();
  }

  /** Steps what was accepted. Call once per loop pass, and when a deadline of the core is due (enqueue a `tick` first). */
  run(): void {
    const { core, now, step: apply = step } = this.#options;
    const inbox = this.#inbox;
    if (inbox.length === 0 || this.#state === 'broken' || this.#state === 'folding') return;
    this.#inbox = [];
    const out: Output[] = [];
    const moment = now();
    for (const ready of inbox) {
      apply(core.state, ready.input, moment, out, ready.facts ?? ready.recall?.facts ?? noFacts);
      dispose(ready);
    }
    for (const output of out) {
      if (output.kind === 'record') this.#records.push(output.record);
      else this.#outputs.push(output);
    }
    this.#proceed();
  }

  /**
   * Replaces the core's state by another that `fold` makes of what the store kept. Call while the turn is idle; inputs
   * that come meanwhile wait, and `first` are stepped before them.
   */
  async refold(fold: () => Promise<{ state: CoreState; first: readonly Input[] }>): Promise<void> {
    if (this.#state === 'broken') return; // nothing brings it back
    this.#state = 'folding';
    try {
      const { state, first } = await fold();
      this.#options.core.state = state;
      this.#state = 'ready';
      // What was found out for the old state is found out again for the new one.
      const later = this.#inbox.splice(0);
      for (const ready of later) dispose(ready);
      for (const input of [...first, ...later.map((one) => one.input)]) this.enqueue(input);
      this.#options.wake();
    } catch (error) {
      this.#break(error as Error);
    }
  }

  /** The barrier. */
  #proceed(): void {
    if (this.#state !== 'ready') return;
    const outputs = this.#outputs;
    const records = this.#records;
    this.#outputs = [];
    this.#records = [];
    if (records.length === 0) return this.#deliver(outputs);
    this.#state = 'committing';
    const startedMs = this.#options.now().monotonicMs;
    const done = this.#options.store.commit(records);
    for (const lookUp of this.#afterCommit.splice(0)) lookUp();
    done.then(
      () => {
        this.#state = 'ready';
        this.#options.committed?.(records.length, this.#options.now().monotonicMs - startedMs);
        this.#deliver(outputs);
        this.#proceed();
      },
      (error: Error) => this.#break(error),
    );
  }

  #deliver(outputs: readonly Output[]): void {
    const { mayAnswer = () => true, deliver } = this.#options;
    if (outputs.length > 0 && mayAnswer()) deliver(outputs);
  }

  async #lookUp(session: number, ready: Ready & { readonly needs: Prefetch }): Promise<void> {
    const { core, store, wake } = this.#options;
    const { state } = core;
    const waiting: Waiting = { inputs: [] };
    this.#waiting.set(session, waiting);
    let found: ReadonlyMap<string, TaskState>;
    try {
      // The store shows what it was given: what has been stepped must be among that.
      if (this.#records.length > 0) await new Promise<void>((resolve) => this.#afterCommit.push(resolve));
      found = await store.states(ready.needs.ids);
    } catch (error) {
      this.#break(error as Error);
      return;
    }
    this.#waiting.delete(session);
    // What was found out for a state that was replaced is found out again for the new one.
    const isStale = core.state !== state;
    if (isStale) dispose(ready);
    else this.#inbox.push({ ...ready, facts: { ended: new Map([...found, ...(ready.recall?.facts.ended ?? [])]) } });
    for (const again of isStale ? [ready.input, ...waiting.inputs] : waiting.inputs) this.enqueue(again);
    wake();
  }

  #break(error: Error): void {
    if (this.#state === 'broken') return;
    this.#state = 'broken';
    this.#options.failed(error);
  }
}

function dispose({ recall: noted, needs }: Ready): void {
  noted?.[Symbol.dispose]();
  needs?.[Symbol.dispose]();
}
