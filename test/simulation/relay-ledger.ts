/** What was published, and what arrived: in order, on matching topics, and as often as the acks say. */
import assert from 'node:assert/strict';
import { topicMatches } from '../../src/protocol/topic.ts';

/** So long after a subscriber has gone the broker may still hand it messages: it is held, and reads the end late. */
const noticedMs = 10_000;

interface Published {
  readonly topic: string;
  readonly atMs: number;
  received: number;
  /** Subscribers, by the ack of a confirmed one. */
  acked: number | undefined;
}

/** One session of a subscriber. */
export interface Reading {
  readonly name: string;
  readonly patterns: Set<string>;
  /** Once it is known to be in force. */
  readonly exclude: Set<string>;
  /** The latest message from each publisher's session. */
  readonly latest: Map<string, number>;
  endedAtMs: number | undefined;
}

export class RelayLedger {
  readonly #published = new Map<string, Published[]>();
  readonly #readings: Reading[] = [];

  /** The number of the next message of a publisher's session, from 0. */
  publish(publisher: string, topic: string, atMs: number): number {
    let all = this.#published.get(publisher);
    if (all === undefined) {
      all = [];
      this.#published.set(publisher, all);
    }
    return all.push({ topic, atMs, received: 0, acked: undefined }) - 1;
  }

  acked(publisher: string, number: number, subscribers: number): void {
    const message = this.#published.get(publisher)![number]!;
    assert(message.acked === undefined, `message ${number} of ${publisher} is acked twice`);
    message.acked = subscribers;
  }

  reads(name: string): Reading {
    const reading: Reading = {
      name,
      patterns: new Set(),
      exclude: new Set(),
      latest: new Map(),
      endedAtMs: undefined,
    };
    this.#readings.push(reading);
    return reading;
  }

  received({ name, patterns, exclude, latest }: Reading, topic: string, publisher: string, number: number): void {
    const message = this.#published.get(publisher)?.[number];
    assert(message !== undefined, `${name} gets message ${number} of ${publisher}, which was never published`);
    assert.equal(topic, message.topic, `${name} gets message ${number} of ${publisher} on another topic`);
    const last = latest.get(publisher) ?? -1;
    assert(number > last, `${name} gets message ${number} of ${publisher} after ${last}`);
    latest.set(publisher, number);
    const matches = [...patterns].some((pattern) => topicMatches(pattern, topic));
    assert(matches, `${name} gets ${topic}, which it did not subscribe to`);
    assert(![...exclude].some((pattern) => topicMatches(pattern, topic)), `${name} gets ${topic}, which it excluded`);
    message.received++;
  }

  /** At the end: what was acked was handed to as many, but for sessions that ended meanwhile. */
  balance(): void {
    for (const [publisher, all] of this.#published)
      for (const [number, { received, acked, atMs }] of all.entries()) {
        if (acked === undefined) continue;
        const lost = this.#readings.filter(
          ({ endedAtMs }) => endedAtMs !== undefined && endedAtMs + noticedMs >= atMs,
        ).length;
        assert(received <= acked, `message ${number} of ${publisher} reached ${received} and was acked for ${acked}`);
        assert(
          acked <= received + lost,
          `message ${number} of ${publisher} was acked for ${acked}, reached ${received}; ${lost} may have lost it`,
        );
      }
  }
}
