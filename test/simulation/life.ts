/**
 * A life: the whole broker in virtual time, its disk, its clients and what goes wrong, all from one seed. First trouble,
 * then calm, in which everything must come to its end; then the books are balanced.
 */
import assert from 'node:assert/strict';
import { MemoryStore } from '../../src/store/memory.ts';
import { WallTwin } from '../twins/clock.ts';
import { Timeline } from '../twins/timeline.ts';
import type { Actor } from './actor.ts';
import { CollectorActor, type Leases } from './actors/collector.ts';
import { SubmitterActor } from './actors/submitter.ts';
import type { Backoff } from './behaviour.ts';
import { cast } from './cast.ts';
import { Dice } from './dice.ts';
import { DurableLedger } from './durable.ts';
import { Ledger } from './ledger.ts';
import type { LifeResult } from './life-result.ts';
import { limitsOf } from './limits.ts';
import { type DiskState, diskNature, streamNature } from './natures.ts';
import type { Plant } from './plant.ts';
import { BrokerProcess } from './process.ts';
import { Trace } from './trace.ts';
import type { LifeWorld } from './world.ts';

const startWallMs = 1_800_000_000_000;
const troubleMs = 40_000;
/** Longer than every lease, backoff, timeout and grace together. */
const calmMs = 600_000;
const day = 86_400_000;
const jumps = [1000, 60_000, 3_600_000, day, 365 * day] as const;

/** Rejects with the first check that failed, the seed and the last lines of the trace. */
export async function live(seed: number, plant: Plant = {}): Promise<LifeResult> {
  const life = new Life(seed, plant);
  try {
    return await life.run();
  } catch (cause) {
    throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : cause}\n${life.trace.tail}`, { cause });
  }
}

class Life {
  readonly trace: Trace;
  readonly #seed: number;
  readonly #plant: Plant;
  readonly #dice: Dice;
  readonly #timeline = new Timeline();
  readonly #disk = new MemoryStore();
  readonly #durable = new DurableLedger();
  readonly #world: LifeWorld;
  readonly #clients: Actor[];
  readonly #leases: Leases = [];
  readonly #checks = { tokens: new Set<string>(), backoffs: [] as Backoff[] };
  readonly #wall: WallTwin;
  #process!: BrokerProcess;
  #starts = 0;
  #steps = 0;
  #isCalm = false;
  #isStopping = false;
  #diskState: DiskState = 'sound';
  #writes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(seed: number, plant: Plant) {
    this.#seed = seed;
    this.#plant = plant;
    this.#dice = new Dice(seed);
    this.trace = new Trace(() => this.#timeline.nowMs);
    this.#wall = new WallTwin(this.#timeline, startWallMs);
    this.#world = this.#makeWorld();
    this.#clients = cast(this.#world, this.#leases);
  }

  async run(): Promise<LifeResult> {
    this.#boot();
    for (const client of this.#clients) this.#timeline.after(this.#dice.spanMs(2000), () => client.connect());
    const acts = 60 + this.#dice.pick(80);
    for (let at = 0; at < acts; at++)
      this.#timeline.after(500 + this.#dice.pick(troubleMs), () => this.#dice.oneOf(this.#clients).act());
    const troubles = this.#dice.pick(8);
    for (let at = 0; at < troubles; at++) this.#timeline.after(this.#dice.pick(troubleMs), () => this.#trouble());
    const fromMs = this.#timeline.nowMs;
    await this.#until(() => this.#timeline.nowMs >= fromMs + troubleMs + 500);
    await this.#end();
    const { accepted } = this.#world.ledger;
    return {
      seed: this.#seed,
      hash: this.trace.hash,
      accepted: accepted.size,
      starts: this.#starts,
      backoffs: this.#checks.backoffs,
      work: {
        tasks: this.#durable.submitted,
        commits: this.#durable.commits,
        steps: this.#steps + this.#process.stepCheck.steps,
        writes: this.#writes,
        events: this.#timeline.count,
      },
    };
  }

  // what goes wrong

  #trouble(): void {
    const dice = this.#dice;
    const what = dice.pick(100);
    this.trace.note(`trouble ${what}`);
    if (what < 30) this.#crash();
    else if (what < 55) this.#wall.jump(dice.oneOf(jumps) * (dice.chance(0.5) ? 1 : -1));
    else if (what < 67) this.#diskState = dice.oneOf(['short', 'short', 'short', 'full', 'removed']);
    else if (what < 82) void this.#process.broker?.refold();
    else if (what < 90) this.#stop(this.#process, dice.chance(0.5) ? 'graceful' : 'immediate');
    else this.#callCollector();
  }

  #callCollector(): void {
    const process = this.#process;
    if (process.broker === undefined) return;
    process.ownCalls++;
    const settled = (): void => void process.ownCalls--;
    process.broker.call(`c${this.#dice.pick(4)}`, 'health_check', {}, 2000).then(settled, settled);
  }

  #boot(): void {
    this.#starts++;
    this.#isStopping = false;
    this.#diskState = 'sound';
    this.#world.ledger.submittedBefore = this.#durable.submitted;
    const process = new BrokerProcess({
      world: this.#world,
      disk: this.#disk,
      diskNature: diskNature(
        this.#world,
        () => this.#diskState,
        () => this.#crash(process),
      ),
      streamNature: () => streamNature(this.#world),
      limits: this.#world.limits,
      seed: this.#seed ^ this.#starts,
      plant: this.#plant,
      checks: this.#checks,
      fatal: (of, error) => this.#fatal(of, error),
      stopRequested: (of, type) => this.#stop(of, type),
    });
    this.#process = process;
    this.trace.note(`start ${this.#starts}`);
    process.start().catch((error: Error) => {
      if (process.isDead) return;
      if (!error.message.includes('failed')) return this.#world.fail(error);
      this.trace.note(`start failed: ${error.message}`);
      this.#crash();
    });
  }

  #crash(process = this.#process): void {
    if (process.isDead) return;
    this.trace.note('crash');
    this.#steps += process.stepCheck.steps;
    process.kill();
    this.#timeline.after(this.#dice.spanMs(this.#isCalm ? 100 : 3000), () => this.#boot());
  }

  /** As the program around the broker does; the process ends, whatever becomes of the stop. */
  #stop(process: BrokerProcess, type: 'graceful' | 'immediate'): void {
    if (this.#isStopping || process.isDead || process.broker === undefined) return;
    this.#isStopping = true;
    this.trace.note(`stop ${type}`);
    const { stopGraceMs } = this.#world.limits;
    let isDone = false;
    const done = (): void => {
      isDone = true;
      if (process.isDead) return;
      this.trace.note('stopped');
      assert(process.store.closed, 'the broker stopped and left its store open');
      this.#crash(process);
    };
    process.broker.stop(type).then(done, (error) => this.#world.fail(error));
    this.#timeline.after(stopGraceMs + 60_000, () => {
      if (!isDone && !process.isDead) this.#world.fail(new Error('the broker does not stop'));
    });
  }

  #fatal(process: BrokerProcess, error: Error): void {
    if (process.isDead) return;
    this.trace.note(`fatal ${error.message}`);
    const told = [...process.wires].filter((wire) => wire.isOpen && !wire.isLeaving && wire.unreadBytes === 0);
    if (!/disk is full|failed|removed/.test(error.message)) return this.#world.fail(error);
    for (const wire of told)
      if (wire.goodbye === undefined) this.#world.fail(new Error(`${wire.name} was not told that the store failed`));
    if (this.#dice.chance(0.5)) this.#stop(process, 'immediate');
    else this.#timeline.after(this.#dice.spanMs(200), () => this.#crash(process));
  }

  // how it ends

  async #end(): Promise<void> {
    this.trace.note('calm');
    this.#isCalm = true;
    this.#diskState = 'sound';
    for (const client of this.#clients) client.calm();
    const helper = new CollectorActor(this.#world, 'helper', this.#leases, true);
    const operator = new SubmitterActor(this.#world, 'operator');
    this.#clients.push(helper, operator);
    helper.connect();
    operator.connect();
    this.#callOff(operator);
    const untilMs = this.#timeline.nowMs + calmMs;
    const isOver = (): boolean => this.#timeline.nowMs > untilMs;
    await this.#until(
      () =>
        isOver() ||
        (this.#process.stepCheck.state?.tasks.size === 0 &&
          this.#durable.live.size === 0 &&
          this.#unanswered().length === 0),
    );
    const { state } = this.#process.stepCheck;
    const left = [...(state?.tasks.values() ?? [])].map(({ spec, life }) => `${spec.id} ${life.state}`);
    assert.deepEqual(left, [], 'I7: tasks never ended');
    assert.deepEqual(this.#unanswered(), [], 'requests were never answered');
    await this.#for(3000);
    this.#world.ledger.balance();
    this.#world.ledger.relay.balance();
    for (const client of this.#clients) client.leave();
    await this.#for(3000);
    this.#process.checkEmpty();
    await this.#restart();
  }

  /** One more start over what was kept. */
  async #restart(): Promise<void> {
    const old = this.#process;
    this.#stop(old, 'graceful');
    await this.#until(() => this.#process !== old && this.#process.broker !== undefined);
    await this.#for(10);
    assert.equal(this.#process.stepCheck.state?.tasks.size, 0, 'I3: an ended task lives again');
  }

  /** The operator cancels what nobody will ever be able to do. */
  #callOff(operator: SubmitterActor): void {
    this.#timeline.after(5000, () => {
      const { state } = this.#process.stepCheck;
      for (const { life, class: cls, spec } of state?.tasks.values() ?? [])
        if (life.state === 'pending' && cls !== undefined && cls.pairings.length === 0) operator.cancel(spec.id);
      this.#callOff(operator);
    });
  }

  #unanswered(): string[] {
    return this.#clients.flatMap(({ unanswered }) => unanswered);
  }

  async #for(ms: number): Promise<void> {
    const untilMs = this.#timeline.nowMs + ms;
    let isOver = false;
    this.#timeline.at(untilMs, () => {
      isOver = true;
    });
    await this.#until(() => isOver);
  }

  async #until(done: () => boolean): Promise<void> {
    await this.#timeline.run(() => {
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#process.checkBounds();
      return done();
    });
  }

  // the world

  #makeWorld(): LifeWorld {
    const life = this;
    return {
      dice: this.#dice,
      timeline: this.#timeline,
      wall: this.#wall,
      trace: this.trace,
      limits: limitsOf(this.#dice),
      durable: this.#durable,
      ledger: new Ledger(this.#durable),
      damaged: new Set(),
      get isCalm() {
        return life.#isCalm;
      },
      connect: (wire, handlers) =>
        life.#process.isDead
          ? undefined
          : life.#process.connect(wire, {
              ...handlers,
              sent: (chunk) => {
                life.#writes++;
                handlers.sent(chunk);
              },
            }),
      fail: (error) => {
        this.#failure ??= { error };
      },
    };
  }
}
