/** Publishes in bursts, realtime and confirmed, also where it may not. */
import assert from 'node:assert/strict';
import { Kind } from '../../../src/protocol/frame.ts';
import { Actor } from '../actor.ts';
import type { WireHandlers } from '../wire.ts';
import type { LifeWorld } from '../world.ts';

export const topics = ['demo.a', 'demo.b', 'demo.a.deep', 'events.process.new', 'results.x'] as const;
const refusedTopics = ['tasks.lifecycle.pending', 'control.broker.x', 'Bad.Topic', 'system.x'] as const;

interface Confirmed {
  readonly sequence: number;
  /** Undefined for one that is refused. */
  readonly number: number | undefined;
}

export class PublisherActor extends Actor {
  #sequence = 0;
  #confirmed: Confirmed[] = [];

  constructor(world: LifeWorld, name: string) {
    super(world, name, 'operator');
  }

  override get unanswered(): string[] {
    return [...super.unanswered, ...this.#confirmed.map(({ sequence }) => `${this.name} publish ${sequence}`)];
  }

  override act(): void {
    const { dice } = this.world;
    if (!this.isOpen) return;
    if (dice.chance(0.12)) return this.misbehave();
    const topic = dice.oneOf(topics);
    const size = dice.oneOf([0, 50, 400, 3000]);
    const isConfirmed = dice.chance(0.5);
    for (let count = dice.oneOf([1, 3, 10, 25]); count > 0; count--) {
      const stays = dice.chance(0.8);
      if (dice.chance(0.03)) this.#refused();
      else this.#publish(stays ? topic : dice.oneOf(topics), size, isConfirmed);
    }
  }

  protected override opened(): void {
    this.#sequence = 0;
    this.#confirmed = [];
  }

  protected override ended(): void {
    this.#confirmed = [];
  }

  protected override handlers(): WireHandlers {
    return {
      ...super.handlers(),
      acked: (sequence, subscribers, refusal) => this.#acked(sequence, subscribers, refusal),
    };
  }

  #publish(topic: string, size: number, isConfirmed: boolean): void {
    const { ledger, timeline } = this.world;
    const wire = this.wire!;
    const number = ledger.relay.publish(wire.name, topic, timeline.nowMs);
    const body = { p: wire.name, n: number, pad: 'm'.repeat(size) };
    if (!isConfirmed) return wire.send(Kind.publish, topic, body);
    this.#confirmed.push({ sequence: ++this.#sequence, number });
    wire.send(Kind.publishConfirmed, this.#sequence, topic, body);
  }

  #refused(): void {
    const { dice } = this.world;
    const topic = dice.oneOf(refusedTopics);
    if (dice.chance(0.5)) return this.wire!.send(Kind.publish, topic, {});
    this.#confirmed.push({ sequence: ++this.#sequence, number: undefined });
    this.wire!.send(Kind.publishConfirmed, this.#sequence, topic, {});
  }

  /** Cumulative: all that were not acked before. */
  #acked(sequence: number, subscribers: number, refusal: unknown): void {
    try {
      if (sequence === 0) return assert(refusal !== undefined, 'an ack of nothing without a refusal');
      const count = this.#confirmed.findIndex((one) => one.sequence > sequence);
      const done = this.#confirmed.splice(0, count === -1 ? this.#confirmed.length : count);
      assert.equal(done.at(-1)?.sequence, sequence, `an ack of ${sequence}, which was not waited for`);
      for (const { number } of done) {
        assert.equal(number === undefined, refusal !== undefined, `publish ${sequence} is refused, or is not`);
        if (number !== undefined) this.world.ledger.relay.acked(this.wire!.name, number, subscribers);
      }
    } catch (error) {
      this.world.fail(error);
    }
  }
}
