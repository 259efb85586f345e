/** One process of the broker, from its start over what the disk kept to its end. */
import assert from 'node:assert/strict';
import { pino } from 'pino';
import { Broker } from '../../src/broker/broker.ts';
import { step } from '../../src/core/step.ts';
import type { Limits } from '../../src/protocol/limits.ts';
import type { MemoryStore } from '../../src/store/memory.ts';
import type { Store } from '../../src/store/port.ts';
import type { Now } from '../../src/time/now.ts';
import { ClockTwin } from '../twins/clock.ts';
import { type DiskNature, StoreTwin } from '../twins/store.ts';
import { FarEnd, type FarHandlers, type StreamNature } from '../twins/stream.ts';
import { checkBounds, checkEmpty } from './bounds.ts';
import { over, type Plant } from './plant.ts';
import { StepCheck, type StepCheckOptions } from './step-check.ts';
import type { Wire } from './wire.ts';
import type { LifeWorld } from './world.ts';

interface ProcessOptions {
  readonly world: LifeWorld;
  readonly disk: MemoryStore;
  readonly diskNature: DiskNature;
  readonly streamNature: () => StreamNature;
  readonly limits: Limits;
  readonly seed: number;
  readonly plant: Plant;
  readonly checks: Pick<StepCheckOptions, 'tokens' | 'backoffs'>;
  /** The broker said that it cannot go on. */
  readonly fatal: (process: BrokerProcess, error: Error) => void;
  /** A request asked it to stop. */
  readonly stopRequested: (process: BrokerProcess, type: 'graceful' | 'immediate') => void;
}

const log = () => pino({ level: 'silent' }, { write: () => {} });

export class BrokerProcess {
  readonly store: StoreTwin;
  readonly wires = new Set<Wire>();
  readonly stepCheck: StepCheck;
  broker: Broker | undefined;
  isDead = false;
  /** Calls of the broker itself that are not settled. */
  ownCalls = 0;
  readonly #options: ProcessOptions;
  readonly #clock: ClockTwin;
  #loadedAt: Now;

  constructor(options: ProcessOptions) {
    const { world, disk, diskNature, checks, limits } = options;
    this.#options = options;
    this.#clock = new ClockTwin(world.timeline, world.wall);
    this.#loadedAt = this.#clock.now();
    this.store = new StoreTwin(disk, diskNature);
    this.stepCheck = new StepCheck({
      ...checks,
      limits,
      durable: world.durable,
      fail: (error) => this.#fail(error),
      loadedAt: () => this.#loadedAt,
    });
  }

  /** Resolves when it accepts connections; rejects when the store cannot be read. */
  async start(): Promise<void> {
    const { world, plant, limits, seed, fatal, stopRequested } = this.#options;
    const store = this.#noteLoads(plant.store?.(this.store) ?? this.store);
    const broker = await Broker.create({
      limits: { ...limits, ...plant.limits },
      store,
      clock: this.#clock,
      version: '0',
      log: log(),
      place: { socket: 'none', store: 'twin' },
      seed,
      fatal: (error) => fatal(this, error),
      step: this.stepCheck.wrap(plant.step?.() ?? step),
    });
    if (this.isDead) return;
    world.ledger.balance();
    world.ledger.submittedBefore = world.durable.submitted;
    this.broker = broker;
    void broker.stopRequested.then((type) => stopRequested(this, type));
  }

  connect(wire: Wire, handlers: FarHandlers): FarEnd | undefined {
    if (this.broker === undefined) return undefined;
    const far = new FarEnd(this.#options.streamNature(), handlers);
    this.wires.add(wire);
    this.broker.accept(far.near, { scheme: 'memory', proof: 'process' });
    return far;
  }

  /** Everything that the process did not finish never happens. */
  kill(): void {
    this.isDead = true;
    this.#clock.kill();
    this.store.kill();
    for (const wire of this.wires) wire.orphan();
    this.wires.clear();
  }

  checkBounds(): void {
    if (this.broker !== undefined && !this.isDead) checkBounds(this.broker, this.stepCheck.state, this.#options.limits);
  }

  /** After everything has ended and everybody has gone. */
  checkEmpty(): void {
    assert(this.broker !== undefined && this.stepCheck.state !== undefined, 'no broker runs at the end');
    checkEmpty(this.broker, this.stepCheck.state);
    assert.equal(this.ownCalls, 0, 'a call of the broker itself is never settled');
  }

  #fail(error: unknown): void {
    if (!this.isDead) this.#options.world.fail(error);
  }

  #noteLoads(store: Store): Store {
    return over(store, {
      load: async (options) => {
        const loaded = await store.load(options);
        this.#loadedAt = this.#clock.now();
        return loaded;
      },
    });
  }
}
