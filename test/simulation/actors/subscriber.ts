/** Subscribes, takes back, reads fast, slowly, or not at all. */
import { Actor } from '../actor.ts';
import type { Reading } from '../relay-ledger.ts';
import { fieldsOf } from '../request.ts';
import type { WireHandlers } from '../wire.ts';
import type { LifeWorld } from '../world.ts';

const patterns = [
  'demo.*',
  'demo.#',
  'demo.a',
  'events.#',
  'results.*',
  'control.tasks.#',
  'tasks.lifecycle.*',
] as const;
const status = ['control.health.status', 'control.broker.#', 'control.collector.#'] as const;
const broken = ['', 'a..b', 'system.x', '#.a'] as const;

export class SubscriberActor extends Actor {
  #reading: Reading | undefined;

  constructor(world: LifeWorld, name: string) {
    super(world, name, 'observer');
  }

  override act(): void {
    const { dice } = this.world;
    if (!this.isOpen) return;
    const what = dice.pick(100);
    if (what < 30) this.#subscribe([dice.oneOf(patterns)]);
    else if (what < 36) this.#subscribe([dice.oneOf(status)]);
    else if (what < 40) this.wire!.request('topic.subscribe', { patterns: [dice.oneOf(broken)] });
    else if (what < 55) this.wire!.request('topic.unsubscribe', { patterns: [dice.oneOf(patterns)] });
    else if (what < 85) this.dullness(this.wire!);
    else this.misbehave();
  }

  protected override opened(): void {
    const { dice, ledger } = this.world;
    const exclude = dice.chance(0.3) ? ['demo.b'] : [];
    this.#reading = ledger.relay.reads(this.wire!.name);
    this.#subscribe(dice.some(patterns, 0.4), exclude);
  }

  protected override ended(): void {
    if (this.#reading !== undefined) this.#reading.endedAtMs = this.world.timeline.nowMs;
    this.#reading = undefined;
  }

  protected override handlers(): WireHandlers {
    return { ...super.handlers(), published: (topic, body) => this.#published(topic, body) };
  }

  #subscribe(wanted: readonly string[], exclude: readonly string[] = []): void {
    const chosen = wanted.length > 0 ? wanted : ['demo.#'];
    // What was asked for may come before the reply.
    const reading = this.#reading;
    for (const pattern of chosen) reading?.patterns.add(pattern);
    this.wire!.request('topic.subscribe', { patterns: chosen, exclude }, ({ ok }) => {
      if (ok) for (const pattern of exclude) reading?.exclude.add(pattern);
    });
  }

  #published(topic: string, body: unknown): void {
    const { p, n } = fieldsOf(body);
    if (typeof p !== 'string' || this.#reading === undefined) return;
    try {
      this.world.ledger.relay.received(this.#reading, topic, p, Number(n));
    } catch (error) {
      this.world.fail(error);
    }
  }
}
