/**
 * A whole broker in virtual time: the real core and the real turn, a store whose disk has a latency and a crash, and
 * submitters and collectors that are slow, lying, silent or suddenly gone. Everything follows from one seed. The
 * workload knows the state: it answers attempts that are really leased, and old ones that really were.
 */
import assert from 'node:assert/strict';
import { Turn } from '../../src/broker/turn.ts';
import { checkInvariants } from '../../src/core/invariants.ts';
import { nextRandom, type Random } from '../../src/core/random.ts';
import { type CoreState, type Input, newState, type Output, recover } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import type { StoreRecord, TaskSpec } from '../../src/core/task.ts';
import { MemoryStore } from '../../src/store/memory.ts';

export interface Life {
  readonly seed: number;
  /** FNV-1a over everything that was said; the same seed gives the same hash. */
  readonly hash: number;
  readonly accepted: number;
  readonly crashes: number;
  readonly steps: number;
}

/** A planted bug: changes what goes into or comes out of the core, or what the store keeps. */
export interface Canary {
  readonly step?: typeof step;
  readonly keeps?: (record: StoreRecord) => boolean;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

interface Held {
  readonly id: string;
  readonly attempt: number;
}

interface SimCollector {
  readonly name: string;
  session: number;
  readonly operations: readonly string[];
  held: Held[];
  old: Held[];
  silent: boolean;
}

const operations = ['scan', 'hash', 'watch'];
const startMs = 1_800_000_000_000;

export async function live(seed: number, canary: Canary = {}): Promise<Life> {
  return new World(seed, canary).run();
}

class World {
  readonly #seed: number;
  readonly #random: Random;
  readonly #canary: Canary;
  readonly #disk = new MemoryStore();
  #nowMs = startMs;
  #order = 0;
  #events: Event[] = [];
  #state: CoreState = newState();
  #turn!: Turn;
  #epoch = 0;
  #session = 0;
  #request = 0;
  #hash = 0x811c9dc5;
  #steps = 0;
  #crashes = 0;
  #calm = false;
  #broken: Error | undefined;
  readonly #collectors: SimCollector[] = [];
  readonly #intended = new Map<string, TaskSpec>();
  readonly #accepted = new Set<string>();
  readonly #completedOk = new Map<string, string>();
  readonly #answers = new Map<string, (outcome: Extract<Output, { kind: 'reply' }>['outcome']) => void>();
  readonly #closed = new Set<number>();

  constructor(seed: number, canary: Canary) {
    this.#seed = seed;
    this.#random = { seed };
    this.#canary = canary;
  }

  async run(): Promise<Life> {
    await this.#boot();
    const collectors = 1 + this.#pick(4);
    for (let at = 0; at < collectors; at++) this.#join(operations.filter(() => this.#chance(0.6)));
    const troubles = 20 + this.#pick(60);
    for (let at = 0; at < troubles; at++) this.#after(this.#pick(120_000), () => this.#trouble());
    await this.#until(() => this.#events.length === 0 || this.#nowMs > startMs + 130_000);
    this.#calm = true;
    for (const collector of this.#collectors) collector.silent = false;
    this.#join(operations);
    const limitMs = this.#nowMs + 40 * 3_600_000;
    await this.#until(() => (this.#state.tasks.size === 0 && this.#turn.idle) || this.#nowMs > limitMs);
    await this.#audit();
    return {
      seed: this.#seed,
      hash: this.#hash >>> 0,
      accepted: this.#accepted.size,
      crashes: this.#crashes,
      steps: this.#steps,
    };
  }

  // ── the broker process ──

  async #boot(): Promise<void> {
    const loaded = await this.#disk.load();
    const epoch = ++this.#epoch;
    this.#state = newState({ seed: this.#seed ^ epoch });
    recover(this.#state, loaded.tasks, loaded.settings, loaded.nextSeq, this.#nowMs);
    for (const id of this.#accepted)
      assert(
        this.#state.tasks.has(id) || (await this.#disk.show(id)) !== undefined,
        `I1: accepted task ${id} did not survive`,
      );
    const apply = this.#canary.step ?? step;
    this.#turn = new Turn({
      state: this.#state,
      nowMs: () => this.#nowMs,
      store: { commit: (records) => this.#commit(records, epoch) },
      release: (outputs) => {
        try {
          if (epoch === this.#epoch) for (const output of outputs) this.#hear(output);
        } catch (broken) {
          this.#broken ??= broken as Error;
        }
      },
      failed: (error) => {
        this.#broken ??= error;
      },
      step: (state, input, nowMs, out) => {
        this.#steps++;
        apply(state, input, nowMs, out);
        checkInvariants(state);
        for (const task of state.tasks.values())
          if (task.phase.state === 'in_progress' && task.phase.collector !== undefined)
            assert(
              !this.#closed.has(task.phase.collector.session),
              `a closed session still holds task ${task.spec.id}`,
            );
        this.#wake();
      },
    });
    this.#tell({ kind: 'tick' });
  }

  #commit(records: readonly StoreRecord[], epoch: number): Promise<void> {
    return new Promise((resolve) => {
      this.#after(1 + this.#pick(20), () => {
        if (epoch !== this.#epoch) return; // the process died before the disk was reached
        void this.#disk.commit(records.filter((record) => this.#canary.keeps?.(record) ?? true));
        // Sometimes the process dies after the disk, before anybody is told.
        if (!this.#calm && this.#chance(0.004)) this.#crash();
        else resolve();
      });
    });
  }

  #crash(): void {
    this.#crashes++;
    this.#epoch++;
    this.#note('crash');
    for (const collector of this.#collectors) this.#closed.add(collector.session);
    this.#answers.clear();
    this.#booting = this.#boot().then(() => {
      for (const collector of this.#collectors) this.#register(collector);
    });
  }
  #booting: Promise<void> | undefined;

  #tell(input: Input): void {
    this.#note(input.kind);
    this.#turn.enqueue(input);
    this.#turn.run();
  }

  #wake(): void {
    const next = this.#state.deadlines.nextMs;
    if (next === Number.POSITIVE_INFINITY) return;
    const epoch = this.#epoch;
    this.#at(Math.max(next, this.#nowMs + 1), () => {
      if (epoch === this.#epoch && this.#state.deadlines.nextMs <= this.#nowMs) this.#tell({ kind: 'tick' });
    });
  }

  #hear(output: Output): void {
    if (output.kind === 'reply') {
      const key = `${output.to.session}/${output.to.id}`;
      this.#note(`reply ${'code' in output.outcome ? output.outcome.code : 'ok'}`);
      this.#answers.get(key)?.(output.outcome);
      this.#answers.delete(key);
    } else if (output.kind === 'assign') {
      this.#note(`assign ${output.spec.id} ${output.attempt}`);
      const collector = this.#collectors.find(({ session }) => session === output.session);
      if (collector !== undefined) this.#work(collector, { id: output.spec.id, attempt: output.attempt });
    } else if (output.kind === 'cancel_attempt') {
      const collector = this.#collectors.find(({ session }) => session === output.session);
      if (collector !== undefined) this.#drop(collector, output.id, output.attempt);
    }
  }

  // ── the collectors ──

  #join(offered: readonly string[]): void {
    const collector: SimCollector = {
      name: `c${this.#collectors.length}`,
      session: 0,
      operations: offered.length > 0 ? offered : ['scan'],
      held: [],
      old: [],
      silent: false,
    };
    this.#collectors.push(collector);
    this.#register(collector);
    this.#beat(collector);
  }

  #register(collector: SimCollector): void {
    collector.session = ++this.#session;
    const leases = collector.held.map(({ id, attempt }) => ({ task_id: id, attempt }));
    const offer = {
      collector_id: collector.name,
      collector_type: 'sim',
      version: '1',
      hostname: '',
      pid: 1,
      operations: collector.operations.map((name) => ({ name })),
      capabilities: [],
      priority_levels: [[0, 255]] as [number, number][],
      max_concurrent_tasks: 1 + (collector.name.charCodeAt(1) % 4),
      weight: 1,
      event_domains: [],
      labels: {},
      metadata: {},
      status: 'healthy' as const,
      status_reason: '',
      leases,
    };
    this.#ask(
      collector.session,
      (to) => ({ kind: 'register', to, offer }),
      (outcome) => {
        if ('code' in outcome) return;
        const kept = new Set((outcome.result as { kept: { task_id: string }[] }).kept.map(({ task_id }) => task_id));
        collector.old.push(...collector.held.filter(({ id }) => !kept.has(id)));
        collector.held = collector.held.filter(({ id }) => kept.has(id));
      },
    );
  }

  #beat(collector: SimCollector): void {
    this.#after(15_000, () => {
      if (!collector.silent) {
        const leases = collector.held.map(({ id, attempt }) => ({ task_id: id, attempt }));
        this.#ask(
          collector.session,
          (to) => ({ kind: 'heartbeat', to, said: { sequence: 0, leases, status: 'healthy', status_reason: '' } }),
          (outcome) => {
            if (!('code' in outcome))
              for (const lost of (outcome.result as { lost: { task_id: string; attempt: number }[] }).lost)
                this.#drop(collector, lost.task_id, lost.attempt);
          },
        );
      }
      this.#beat(collector);
    });
  }

  #work(collector: SimCollector, held: Held): void {
    collector.held.push(held);
    const fate = this.#calm ? 0 : nextRandom(this.#random);
    const tookMs = 1 + this.#pick(fate > 0.9 ? 60_000 : 3000);
    this.#after(tookMs, () => {
      if (fate > 0.97) return; // hangs for ever
      this.#answer(collector, held, fate > 0.75);
      if (fate > 0.6 && fate < 0.7) this.#answer(collector, held, false); // says it twice
    });
  }

  #answer(collector: SimCollector, held: Held, fails: boolean): void {
    const { id, attempt } = held;
    if (fails) {
      const next = this.#chance(0.1) ? 'give_up' : this.#chance(0.1) ? 'elsewhere' : 'retry';
      this.#ask(
        collector.session,
        (to) => ({
          kind: 'fail',
          to,
          said: { task_id: id, attempt, error: { code: 'sim', message: 'as told' }, next },
        }),
        () => {},
      );
    } else {
      this.#ask(
        collector.session,
        (to) => ({ kind: 'complete', to, taskId: id, attempt, result: Uint8Array.of(0xc3) }),
        (outcome) => {
          if ('code' in outcome) return;
          assert(!this.#completedOk.has(id), `I4: task ${id} was completed twice`);
          this.#completedOk.set(id, `${collector.name} ${attempt}`);
        },
      );
    }
    this.#drop(collector, id, attempt);
  }

  #drop(collector: SimCollector, id: string, attempt: number): void {
    const at = collector.held.findIndex((one) => one.id === id && one.attempt === attempt);
    if (at >= 0) collector.old.push(...collector.held.splice(at, 1));
  }

  // ── what goes wrong, and what is asked ──

  #trouble(): void {
    if (this.#calm) return;
    const dice = this.#pick(100);
    const collector = this.#collectors[this.#pick(this.#collectors.length)]!;
    if (dice < 50) this.#submit(1 + this.#pick(5));
    else if (dice < 58) this.#hangUp(collector);
    else if (dice < 63) collector.silent = !collector.silent;
    else if (dice < 75 && collector.old.length > 0)
      this.#answer(collector, collector.old[this.#pick(collector.old.length)]!, this.#chance(0.3));
    else if (dice < 82) this.#crash();
    else if (dice < 90) this.#cancel();
    else if (dice < 94 && collector.held.length > 0) {
      const other = this.#collectors[this.#pick(this.#collectors.length)]!;
      if (other !== collector) this.#answer(other, collector.held[0]!, false); // answers for somebody else
    } else if (dice < 96) this.#leave(collector);
    else if (dice < 97)
      this.#ask(
        ++this.#session,
        (to) => ({
          kind: 'route',
          to,
          strategy: this.#chance(0.5) ? 'round_robin' : 'least_loaded',
          operation: undefined,
        }),
        () => {},
      );
    else this.#join([operations[this.#pick(3)]!]);
  }

  #hangUp(collector: SimCollector): void {
    this.#closed.add(collector.session);
    this.#tell({ kind: 'session_closed', session: collector.session });
    this.#after(this.#pick(20_000), () => this.#register(collector));
  }

  /** Drains, or goes at once; then hangs up and comes back. */
  #leave(collector: SimCollector): void {
    const force = this.#chance(0.5);
    this.#ask(
      collector.session,
      (to) => ({ kind: 'deregister', to, force, reason: 'sim' }),
      (outcome) => {
        if (force && !('code' in outcome)) collector.old.push(...collector.held.splice(0));
      },
    );
    this.#after(this.#pick(20_000), () => this.#hangUp(collector));
  }

  #submit(count: number): void {
    const specs: TaskSpec[] = [];
    for (let at = 0; at < count; at++) {
      const known = [...this.#intended.values()];
      if (known.length > 0 && this.#chance(0.1))
        specs.push(known[this.#pick(known.length)]!); // says it again
      else specs.push(this.#spec());
    }
    for (const spec of specs) if (!this.#intended.has(spec.id)) this.#intended.set(spec.id, { ...spec });
    // As the broker does: an id that only the store can know is looked up first.
    const fresh = specs.filter(
      ({ id }) => this.#state.tasks.has(id) || this.#state.ended.has(id) || !this.#stored.has(id),
    );
    if (fresh.length === 0) return;
    this.#ask(
      ++this.#session,
      (to) => ({ kind: 'submit', to, specs: fresh, batch: true }),
      (outcome) => {
        assert(!('code' in outcome));
        const outcomes = (outcome.result as { outcomes: { id: string }[] }).outcomes;
        for (const one of outcomes) if ('id' in one) this.#accepted.add(one.id);
      },
    );
  }

  /** Ids on the disk, as a look-up would find them. */
  get #stored(): { has(id: string): boolean } {
    return { has: (id) => this.#accepted.has(id) || this.#disk.has(id) };
  }

  #spec(): TaskSpec {
    const id = `t${this.#intended.size + 1}`;
    return {
      id,
      operation: operations[this.#pick(3)]!,
      priority: [50, 100, 200, 250][this.#pick(4)]!,
      requires: [],
      labels: {},
      collectorType: undefined,
      collectorId: undefined,
      timeoutMs: 5000 + this.#pick(60_000),
      maxRetries: this.#pick(6),
      backoffBaseMs: 1000,
      backoffCapMs: 20_000,
      metadata: {},
      correlation: { correlation_id: id },
      payload: Uint8Array.of(0xc0),
    };
  }

  #cancel(): void {
    const ids = [...this.#state.tasks.keys()];
    if (ids.length === 0) return;
    const id = ids[this.#pick(ids.length)]!;
    this.#ask(
      ++this.#session,
      (to) => ({ kind: 'cancel', to, id, reason: 'sim' }),
      () => {},
    );
  }

  async #audit(): Promise<void> {
    assert.equal(this.#state.tasks.size, 0, `I7: ${this.#state.tasks.size} tasks never ended`);
    const stored = await this.#disk.list({
      states: [],
      operation: undefined,
      collectorId: undefined,
      beforeSeq: undefined,
      limit: 1e9,
    });
    const ids = new Set(stored.map(({ spec }) => spec.id));
    assert.equal(ids.size, stored.length, 'I2: a task is stored twice');
    for (const id of this.#accepted) assert(ids.has(id), `I1: accepted task ${id} is lost`);
    for (const { spec, state } of stored) {
      assert(this.#intended.has(spec.id), `I2: task ${spec.id} was invented`);
      assert(['completed', 'dead_letter', 'cancelled'].includes(state), `I3: task ${spec.id} is ${state} at the end`);
      const { attempts } = (await this.#disk.show(spec.id))!;
      assert(
        attempts.length <= this.#intended.get(spec.id)!.maxRetries + 1,
        `I5: task ${spec.id} had ${attempts.length} attempts`,
      );
      assert.deepEqual(
        attempts.map(({ attempt }) => attempt),
        attempts.map((_, at) => at + 1),
        `I5: the attempts of ${spec.id} have gaps`,
      );
      assert(
        attempts.filter(({ outcome }) => outcome === 'completed').length === (state === 'completed' ? 1 : 0),
        `I4: ${spec.id} is ${state}`,
      );
      const told = this.#completedOk.get(spec.id);
      const winner = attempts.find(({ outcome }) => outcome === 'completed');
      if (told !== undefined)
        assert.equal(
          told,
          winner && `${winner.collectorId} ${winner.attempt}`,
          `I4: ${spec.id} was completed by a stale answer`,
        );
    }
  }

  // ── time and chance ──

  #ask(
    session: number,
    input: (to: { session: number; id: number }) => Input,
    answered: (outcome: Extract<Output, { kind: 'reply' }>['outcome']) => void,
  ): void {
    const to = { session, id: ++this.#request };
    const epoch = this.#epoch;
    this.#after(this.#pick(3), () => {
      if (epoch !== this.#epoch || this.#closed.has(session)) return;
      this.#answers.set(`${to.session}/${to.id}`, answered);
      this.#tell(input(to));
    });
  }

  #at(atMs: number, run: () => void): void {
    this.#events.push({ atMs, order: this.#order++, run });
    let at = this.#events.length - 1;
    while (at > 0 && before(this.#events[at]!, this.#events[(at - 1) >> 1]!)) {
      const parent = (at - 1) >> 1;
      [this.#events[at], this.#events[parent]] = [this.#events[parent]!, this.#events[at]!];
      at = parent;
    }
  }

  #after(ms: number, run: () => void): void {
    this.#at(this.#nowMs + ms, run);
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      const event = this.#take();
      if (event === undefined) return;
      this.#nowMs = event.atMs;
      event.run();
      for (let at = 0; at < 3; at++) await null;
      if (this.#booting !== undefined) {
        await this.#booting;
        this.#booting = undefined;
      }
      if (this.#broken !== undefined) throw this.#broken;
    }
  }

  #take(): Event | undefined {
    const first = this.#events[0];
    const last = this.#events.pop();
    if (first === undefined || last === undefined || this.#events.length === 0) return first;
    let at = 0;
    this.#events[0] = last;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#events.length) return first;
      if (child + 1 < this.#events.length && before(this.#events[child + 1]!, this.#events[child]!)) child++;
      if (!before(this.#events[child]!, this.#events[at]!)) return first;
      [this.#events[at], this.#events[child]] = [this.#events[child]!, this.#events[at]!];
      at = child;
    }
  }

  #pick(below: number): number {
    return Math.floor(nextRandom(this.#random) * below);
  }

  #chance(probability: number): boolean {
    return nextRandom(this.#random) < probability;
  }

  #note(what: string): void {
    for (const char of `${this.#nowMs} ${what}`) this.#hash = Math.imul(this.#hash ^ char.charCodeAt(0), 0x01000193);
  }
}

const before = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
