/**
 * A collector that may be slow, lying, silent or suddenly gone. It knows what it really holds and what it once held, so
 * that its answers are to leases that are, or that were.
 */
import { Actor } from '../actor.ts';
import { fieldsOf, listOf } from '../request.ts';
import type { WireHandlers } from '../wire.ts';
import type { LifeWorld } from '../world.ts';
import { answerCall } from './callee.ts';
import { labels, operations } from './submitter.ts';

interface Held {
  readonly task_id: string;
  readonly token: string;
}

/** What all collectors of a life have held, for those that answer for others. */
export type Leases = Held[];

export class CollectorActor extends Actor {
  readonly id: string;
  held: Held[] = [];
  /** It does what it can, and nothing else. */
  #isHelpful: boolean;
  #offers: readonly string[];
  readonly #all: Leases;

  constructor(world: LifeWorld, id: string, all: Leases, isHelpful = false) {
    super(world, id, 'collector');
    this.id = id;
    this.#all = all;
    this.#isHelpful = isHelpful;
    this.#offers = isHelpful ? operations : this.#someOperations();
  }

  override act(): void {
    const { dice } = this.world;
    const what = dice.pick(100);
    if (!this.isOpen) return;
    if (what < 30) this.#answerOld();
    else if (what < 40) this.#answerForOther();
    else if (what < 58) this.#register(true);
    else if (what < 66) this.wire!.request('collector.deregister', { force: dice.chance(0.4), reason: 'sim' });
    else if (what < 74)
      this.held = dice.some(this.held, 0.5); // forgets, so that leases end
    else if (what < 80) this.world.timeline.after(dice.spanMs(5000), () => this.wire?.reset());
    else this.misbehave();
  }

  override calm(): void {
    super.calm();
    if (this.#isHelpful) return;
    this.#isHelpful = true;
    this.#offers = operations;
    this.wire?.end(); // a fresh start: what it forgot is given to it again
  }

  protected override opened(): void {
    this.#register(false);
    this.#beat(this.sessions);
  }

  protected override handlers(): WireHandlers {
    return {
      ...super.handlers(),
      published: (topic, body) => this.#published(topic, body),
      called: (id, method, params) => {
        if (this.wire !== undefined) answerCall(this.world, this.wire, id, method, params);
      },
    };
  }

  #someOperations(): readonly string[] {
    const some = this.world.dice.some(operations, 0.6);
    return some.length > 0 ? some : ['scan'];
  }

  #register(changed: boolean): void {
    const { dice } = this.world;
    if (changed && !this.#isHelpful) this.#offers = this.#someOperations();
    const registration = {
      collector_id: !changed && !this.#isHelpful && dice.chance(0.06) ? `c${dice.pick(4)}` : this.id,
      collector_type: 'sim',
      operations: this.#offers.map((name) => ({ name })),
      capabilities: this.#isHelpful || dice.chance(0.5) ? ['deep'] : [],
      labels: dice.oneOf(labels),
      weight: dice.oneOf([0, 1, 3]),
      max_concurrent_tasks: dice.oneOf([1, 1, 2, 3, 9]),
      event_domains: dice.chance(0.3) ? ['process'] : [],
      leases: this.#claims(),
      ...(this.#isHelpful || dice.chance(0.6)
        ? {}
        : {
            priority_levels: dice.oneOf([
              [[0, 150]],
              [[100, 255]],
              [
                [200, 255],
                [0, 60],
              ],
            ]),
          }),
      ...(this.#isHelpful || dice.chance(0.8) ? {} : { status: 'degraded', status_reason: 'sim' }),
    };
    this.wire?.request('collector.register', registration, (outcome) => {
      if (!outcome.ok) return this.world.timeline.after(500, () => this.wire?.end());
      const reclaimed = new Set(listOf(outcome.result.reclaimed).map(({ token }) => token));
      this.held = this.held.filter(({ token }) => reclaimed.has(token) || changed);
    });
  }

  /** What it holds; sometimes with a wrong token, or what another held. */
  #claims(): Held[] {
    const { dice } = this.world;
    const claims = [...this.held];
    if (this.#isHelpful) return claims;
    if (claims.length > 0 && dice.chance(0.2))
      claims[0] = { ...claims[0]!, token: dice.chance(0.5) ? '1.1' : `${claims[0]!.token}x` };
    if (this.#all.length > 0 && dice.chance(0.4)) claims.push(...this.#all.slice(-3));
    return claims;
  }

  #beat(session: number): void {
    const { heartbeatMs } = this.world.limits;
    this.world.timeline.after(heartbeatMs * 0.9, () => {
      if (session !== this.sessions || !this.isOpen) return;
      if (!this.wire!.isSilent)
        this.wire!.request('collector.heartbeat', { leases: this.held }, (outcome) => {
          if (outcome.ok) for (const lost of listOf(outcome.result.lost)) this.#drop(String(lost.token));
        });
      this.#beat(session);
    });
  }

  #published(topic: string, body: unknown): void {
    const { kind, task_id, token } = fieldsOf(body);
    if (!topic.startsWith('control.tasks.')) return;
    const lease = { task_id: String(task_id), token: String(token) };
    if (kind === 'cancel') return this.#cancelled(lease);
    this.held.push(lease);
    this.#all.push(lease);
    this.#work(lease);
  }

  #work(lease: Held): void {
    const { dice, timeline } = this.world;
    const fate = this.#isHelpful ? 0 : dice.pick(100);
    if (fate >= 93) return; // hangs until it is cancelled, or longer
    const tookMs = 1 + dice.spanMs(fate > 80 ? 25_000 : 2500);
    timeline.after(tookMs, () => {
      if (fate < 60) this.#complete(lease);
      else this.#fail(lease);
      if (fate > 50 && fate < 65) this.#complete(lease); // twice
    });
  }

  #cancelled(lease: Held): void {
    const { dice, timeline } = this.world;
    if (this.#isHelpful || dice.chance(0.5)) timeline.after(dice.spanMs(3000), () => this.#fail(lease));
  }

  #complete(lease: Held): void {
    const { dice } = this.world;
    this.#drop(lease.token);
    if (this.isOpen)
      this.wire!.request('task.complete', {
        ...lease,
        result: { pad: 'r'.repeat(dice.pick(dice.chance(0.15) ? 8500 : 50)) },
      });
  }

  #fail(lease: Held): void {
    const { dice } = this.world;
    this.#drop(lease.token);
    if (!this.isOpen) return;
    const next = dice.chance(0.1) ? 'give_up' : dice.chance(0.12) ? 'elsewhere' : 'retry';
    const after = dice.chance(0.15) ? { retry_after_ms: dice.pick(4000) } : {};
    this.wire!.request('task.fail', { ...lease, error: { code: 'sim', message: 'as planned' }, next, ...after });
  }

  #answerOld(): void {
    const { dice } = this.world;
    if (this.#all.length === 0) return;
    const lease = dice.chance(0.5) ? this.#all.at(-1)! : dice.oneOf(this.#all);
    if (dice.chance(0.6)) this.#complete(lease);
    else this.#fail(lease);
  }

  #answerForOther(): void {
    const { dice, durable } = this.world;
    const running = [...durable.live].filter(({ now }) => now.state === 'in_progress');
    if (running.length === 0) return;
    const { spec, now } = dice.oneOf(running);
    this.#complete({ task_id: spec.id, token: dice.chance(0.7) ? now.token : '1.1' });
  }

  #drop(token: string): void {
    this.held = this.held.filter((lease) => lease.token !== token);
  }
}
