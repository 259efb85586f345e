/**
 * One turn: everything in, one commit, then everything out. Inputs of one loop pass are stepped together. What they
 * caused leaves only when their records, and all records before them, are durable; while a commit is in flight later
 * inputs are stepped already, and their records gather for the next one (group commit). Outputs keep their order.
 *
 * An input that needs facts from the store waits for them here, and with it the later inputs of its session. One
 * look-up serves all inputs of a pass; what a session sends while one is under way is served by the next.
 */
import { isAbsent } from '../core/body.ts';
import type { Input, Output } from '../core/input.ts';
import { type Facts, prefetch, recall } from '../core/prefetch.ts';
import type { StoreRecord } from '../core/record.ts';
import type { CoreState } from '../core/state.ts';
import type { step } from '../core/step.ts';
import { limitTable } from '../protocol/limits.ts';
import type { TaskState } from '../protocol/state.ts';
import type { Store } from '../store/port.ts';
import type { Now } from '../time/now.ts';
import { dispose, type Ready, Stepper } from './stepper.ts';

export interface TurnOptions {
  /** Where the core's state is; nothing else may keep a reference to the state itself. */
  readonly core: Core;
  readonly store: Pick<Store, 'commit' | 'states' | 'payload' | 'room' | 'makeRoom'>;
  readonly now: () => Now;
  /** Schedules `run` for the end of this loop pass. */
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
   * here, so code that returns false must end the sessions that made them.
   */
  readonly mayAnswer?: () => boolean;
  readonly step?: typeof step;
}

/** The one place that refers to the core's state, so that it can be replaced. */
export interface Core {
  state: CoreState;
}

/** A session whose inputs wait for facts. */
interface Waiting {
  readonly session: number;
  /** What the look-up is for, in order: the first input needs facts, those behind it need not. */
  readonly ready: Ready[];
  /** What came while the look-up was under way. */
  readonly later: Input[];
  isUnderWay: boolean;
}

/** Ids in one message to the store, so that a commit does not wait behind very many; a batch submit holds as many. */
const idsAtOnce = limitTable.batchMax.value;

export class Turn {
  readonly #options: TurnOptions;
  readonly #stepper: Stepper;
  #inbox: Ready[] = [];
  #records: StoreRecord[] = [];
  #outputs: Output[] = [];
  /** Payloads that outputs wait for. */
  readonly #bodies: Promise<void>[] = [];
  #state: 'ready' | 'committing' | 'folding' | 'broken' = 'ready';
  readonly #waiting = new Map<number, Waiting>();
  /** Those of the waiting whose look-up begins in the next `run`. */
  #gathered: Waiting[] = [];
  /** Look-ups that must see records which the store has not been given yet. */
  #afterCommit: (() => void)[] = [];

  constructor(options: TurnOptions) {
    this.#options = options;
    this.#stepper = new Stepper({ ...options, failed: (error) => this.#break(error) });
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
    const { state } = this.#options.core;
    const isReady = this.#state === 'ready' || this.#state === 'committing';
    return isReady && !this.#stepper.isHeldUp && !state.frozen ? state.deadlines.nextMs : Number.POSITIVE_INFINITY;
  }

  /** Accepts an input; it is stepped by the next `run`, or when its facts have come. */
  enqueue(input: Input): void {
    const session = 'to' in input ? input.to.session : 'session' in input ? input.session : undefined;
    const waiting = session === undefined ? undefined : this.#waiting.get(session);
    if (waiting?.isUnderWay === true) {
      waiting.later.push(input);
      return;
    }
    const { state } = this.#options.core;
    const ready = { input, recall: recall(state, input), needs: prefetch(state, input) };
    if (waiting !== undefined) waiting.ready.push(ready);
    else if (ready.needs === undefined) this.#inbox.push(ready);
    else this.#gather(session!, ready);
    this.#options.wake();
  }

  /** Steps what was accepted. Call once per loop pass, and when a deadline of the core is due (enqueue a `tick` first). */
  run(): void {
    const { core } = this.#options;
    if (this.#state === 'broken' || this.#state === 'folding') return;
    if (this.#gathered.length > 0) void this.#lookUp(this.#gathered.splice(0));
    if (this.#inbox.length === 0 && !core.state.unfinished && !core.state.frozen) return;
    const out: Output[] = [];
    const inbox = this.#inbox.splice(0);
    const left = this.#stepper.run(inbox, this.#state === 'committing', out);
    if (left.length > 0) this.#inbox.unshift(...left);
    for (const output of out) {
      if (output.kind === 'record') this.#records.push(output.record);
      else this.#outputs.push(output);
      if (output.kind === 'assign' && isAbsent(output.payload)) this.#bodies.push(this.#bodyOf(output));
    }
    this.#proceed();
  }

  /** Room may have come in the store. Call once a second. */
  lookForRoom(): void {
    this.#stepper.lookForRoom();
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
      const gathered = this.#gathered.splice(0);
      for (const { session } of gathered) this.#waiting.delete(session);
      const later = [...this.#stepper.takeKept(), ...this.#inbox.splice(0), ...gathered.flatMap(({ ready }) => ready)];
      for (const ready of later) dispose(ready);
      for (const input of [...first, ...later.map((one) => one.input)]) this.enqueue(input);
      this.#options.wake();
    } catch (error) {
      this.#break(error as Error);
    }
  }

  /** While the commit is under way; both are waited for. */
  #bodyOf(output: Extract<Output, { kind: 'assign' }>): Promise<void> {
    const body = this.#readBody(output);
    body.catch(() => {}); // it is waited for, but for that of an earlier commit first
    return body;
  }

  /** Without its payload it is not delivered, and the attempt is taken back. */
  async #readBody(output: Extract<Output, { kind: 'assign' }>): Promise<void> {
    const { id } = output.spec;
    const payload = await this.#options.store.payload(id);
    if (payload === undefined) this.enqueue({ kind: 'body_damaged', id, isUndelivered: true });
    else output.payload = payload;
  }

  /** The barrier. */
  #proceed(): void {
    if (this.#state !== 'ready') return;
    const outputs = this.#outputs;
    const records = this.#records;
    this.#outputs = [];
    this.#records = [];
    const bodies = this.#bodies.splice(0);
    this.#stepper.taken();
    if (records.length === 0) return this.#deliver(outputs);
    this.#state = 'committing';
    const startedMs = this.#options.now().monotonicMs;
    const committed = this.#options.store.commit(records);
    const done = bodies.length === 0 ? committed : Promise.all([committed, ...bodies]);
    for (const lookUp of this.#afterCommit.splice(0)) lookUp();
    done.then(
      () => {
        this.#state = 'ready';
        this.#options.committed?.(records.length, this.#options.now().monotonicMs - startedMs);
        this.#deliver(outputs);
        this.#proceed();
        if (this.#stepper.isHeldUp) this.#options.wake();
      },
      (error: Error) => this.#break(error),
    );
  }

  #deliver(outputs: readonly Output[]): void {
    const { mayAnswer = () => true, deliver } = this.#options;
    if (outputs.length > 0 && mayAnswer()) deliver(outputs);
  }

  #gather(session: number, ready: Ready): void {
    const waiting = { session, ready: [ready], later: [], isUnderWay: false };
    this.#waiting.set(session, waiting);
    this.#gathered.push(waiting);
  }

  async #lookUp(batch: readonly Waiting[]): Promise<void> {
    const { core, wake } = this.#options;
    const { state } = core;
    for (const waiting of batch) waiting.isUnderWay = true;
    let found: ReadonlyMap<string, TaskState>;
    try {
      // The store shows what it was given: what has been stepped must be among that.
      if (this.#records.length > 0) await new Promise<void>((resolve) => this.#afterCommit.push(resolve));
      found = await this.#statesOf(batch);
    } catch (error) {
      this.#break(error as Error);
      return;
    }
    for (const { session } of batch) this.#waiting.delete(session);
    // What was found out for a state that was replaced is found out again for the new one.
    const isStale = core.state !== state;
    for (const { ready, later } of batch) {
      if (!isStale) for (const one of ready) this.#inbox.push({ ...one, facts: factsOf(one, found) });
      else for (const one of ready) dispose(one);
      for (const input of isStale ? [...ready.map((one) => one.input), ...later] : later) this.enqueue(input);
    }
    wake();
  }

  async #statesOf(batch: readonly Waiting[]): Promise<ReadonlyMap<string, TaskState>> {
    const ids = [...new Set(batch.flatMap(({ ready }) => ready.flatMap(({ needs }) => needs?.ids ?? [])))];
    const found = new Map<string, TaskState>();
    for (let at = 0; at < ids.length; at += idsAtOnce)
      for (const [id, one] of await this.#options.store.states(ids.slice(at, at + idsAtOnce))) found.set(id, one);
    return found;
  }

  #break(error: Error): void {
    if (this.#state === 'broken') return;
    this.#state = 'broken';
    this.#options.failed(error);
  }
}

function factsOf({ recall: noted, needs }: Ready, found: ReadonlyMap<string, TaskState>): Facts {
  const ended = new Map(noted?.facts.ended);
  for (const id of needs?.ids ?? []) {
    const state = found.get(id);
    if (state !== undefined) ended.set(id, state);
  }
  return { ended };
}
