/** The relay: subscriptions, routes, and the links that have something to flush at the end of the pass. */
import type { Duplex } from 'node:stream';
import { type Fault, fault } from '../protocol/fault.ts';
import type { Limits } from '../protocol/limits.ts';
import { refusePattern } from '../protocol/topic.ts';
import type { Inlet } from './inlet.ts';
import { Link } from './link.ts';
import { type Route, RouteCache } from './route.ts';
import { type Subscriber, SubscriptionTrie } from './subscription.ts';

export interface RelayHooks {
  /** There is something to flush, where there was nothing: call `flush` at the end of the pass. */
  readonly wake: () => void;
  /** A subscriber holds up a processed publish; call `evictSlow` when its grace is over. */
  readonly slow: (subscriber: Subscriber, graceMs: number) => void;
}

export class Relay {
  readonly limits: Limits;
  readonly trie = new SubscriptionTrie();
  readonly routes = new RouteCache(this.trie);
  readonly totals = { published: 0, delivered: 0, dropped: 0 };
  readonly #hooks: RelayHooks;
  #dirty: Link[] = [];
  /** Publishers that wait for a full subscriber, by its session. */
  readonly #held = new Map<number, Set<Inlet>>();

  constructor(limits: Limits, hooks: RelayHooks) {
    this.limits = limits;
    this.#hooks = hooks;
  }

  connect(session: number, name: string, stream: Duplex): Subscriber {
    const link = new Link(
      stream,
      (dirty) => this.#note(dirty),
      () => this.#drained(subscriber),
    );
    const subscriber: Subscriber = { session, name, link, patterns: new Set(), excluded: new Set(), dropped: 0 };
    return subscriber;
  }

  subscribe(subscriber: Subscriber, patterns: readonly string[], exclude: readonly string[]): Fault | undefined {
    for (const pattern of [...patterns, ...exclude]) {
      const refusal = refusePattern(pattern);
      if (refusal !== undefined) return refusal;
    }
    const wanted = new Set([...subscriber.patterns, ...patterns]);
    const max = this.limits.subscriptionsMax;
    if (wanted.size > max || subscriber.excluded.size + exclude.length > max)
      return fault(
        'too_many_subscriptions',
        `A session may hold ${max} patterns; this one would hold ${wanted.size}.`,
        { limit: max },
      );
    for (const pattern of patterns) {
      subscriber.patterns.add(pattern);
      this.trie.add(pattern, subscriber);
    }
    for (const pattern of exclude) subscriber.excluded.add(pattern);
    this.routes.invalidate();
    return undefined;
  }

  unsubscribe(subscriber: Subscriber, patterns: Iterable<string>): void {
    for (const pattern of patterns) {
      subscriber.excluded.delete(pattern);
      if (subscriber.patterns.delete(pattern)) this.trie.delete(pattern, subscriber);
    }
    this.routes.invalidate();
  }

  disconnect(subscriber: Subscriber): void {
    this.unsubscribe(subscriber, [...subscriber.patterns]);
    this.#release(subscriber.session);
  }

  /** Whether anybody would get a message on this topic; asked before the broker makes one of its own. */
  hasSubscribers(topic: string): boolean {
    return this.routes.of(topic).subscribers.length > 0;
  }

  /** Publishes a frame of the broker's own; `except` already has it. */
  publish(topic: string, frame: Buffer, except = -1): void {
    const route = this.routes.of(topic);
    this.hand(route, frame, 0, frame.length, 1, except);
  }

  /** Hands `count` adjacent frames of one route, `bytes[start, end)`, to its subscribers. Realtime: a full one loses them. */
  hand(route: Route, bytes: Buffer, start: number, end: number, count: number, except = -1): void {
    const { subscribers } = route;
    const { outboundBytesMax } = this.limits;
    route.published += count;
    this.totals.published += count;
    for (let at = 0; at < subscribers.length; at++) {
      const subscriber = subscribers[at]!;
      if (subscriber.session === except) continue;
      if (subscriber.link.queuedBytes > outboundBytesMax) {
        subscriber.dropped += count;
        route.dropped += count;
        this.totals.dropped += count;
      } else {
        subscriber.link.push(bytes, start, end);
        this.totals.delivered += count;
      }
    }
  }

  /** Whether a subscriber of the route is over its limit; then `inlet` is told when it no longer is. */
  holdFor(route: Route, inlet: Inlet): boolean {
    return route.subscribers.some((subscriber) => this.hold(subscriber, inlet));
  }

  /** The same for one subscriber. */
  hold(subscriber: Subscriber, inlet: Inlet): boolean {
    if (subscriber.link.queuedBytes <= this.limits.outboundBytesMax) return false;
    const waiting = this.#held.get(subscriber.session);
    if (waiting === undefined) {
      this.#held.set(subscriber.session, new Set([inlet]));
      this.#hooks.slow(subscriber, this.limits.slowGraceMs);
    } else waiting.add(inlet);
    return true;
  }

  /** Whether it still holds somebody up. */
  isHoldingUp(subscriber: Subscriber): boolean {
    return this.#held.has(subscriber.session);
  }

  /** A publisher is gone and no longer waits. */
  forget(inlet: Inlet): void {
    for (const waiting of this.#held.values()) waiting.delete(inlet);
  }

  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const link of dirty) link.flush();
  }

  #note(dirty: Link): void {
    if (this.#dirty.length === 0) this.#hooks.wake();
    this.#dirty.push(dirty);
  }

  #drained(subscriber: Subscriber): void {
    if (
      this.#held.size > 0 &&
      this.#held.has(subscriber.session) &&
      subscriber.link.queuedBytes <= this.limits.outboundBytesMax / 2
    )
      this.#release(subscriber.session);
  }

  #release(session: number): void {
    const waiting = this.#held.get(session);
    if (waiting === undefined) return;
    this.#held.delete(session);
    for (const inlet of waiting) inlet.resume();
  }
}
