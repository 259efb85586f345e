/** The relay: subscriptions, routes, and the links that have something to flush at the end of the pass. */
import type { Duplex } from 'node:stream';
import { type Fault, fault } from '../protocol/fault.ts';
import type { Limits } from '../protocol/limits.ts';
import { canonicalPattern, refusePattern } from '../protocol/topic.ts';
import { type Holdable, Holds } from './holds.ts';
import { Link } from './link.ts';
import type { Caller, Peer } from './peer.ts';
import { type Route, RouteCache } from './route.ts';
import { SubscriptionTrie } from './subscription.ts';

interface RelayHooks {
  readonly nowMs: () => number;
  /** There is something to flush, where there was nothing: call `flush` at the end of the pass. */
  readonly wake: () => void;
  /** The peer is over its limit and a session waits for it; look again when its grace is over. */
  readonly slow: (peer: Peer) => void;
  /** A sender pauses for the peer; call `endStall` after `stallMs`. */
  readonly stalled: (peer: Peer, sender: Holdable) => void;
  /** The peer took bytes that were kept for it. */
  readonly taken: (peer: Peer) => void;
}

/** A full peer that reads may be given so much over its limit before it loses messages, once its senders pause. */
const overshootFactor = 1.25;

export class Relay {
  readonly limits: Limits;
  readonly holds: Holds;
  readonly routes: RouteCache;
  readonly totals = { published: 0, delivered: 0, dropped: 0, stalls: 0 };
  readonly #trie = new SubscriptionTrie();
  readonly #excluded = new SubscriptionTrie();
  readonly #hooks: RelayHooks;
  #dirty: Link[] = [];

  constructor(limits: Limits, hooks: RelayHooks) {
    this.limits = limits;
    this.#hooks = hooks;
    this.holds = new Holds(limits, hooks.slow);
    this.routes = new RouteCache((topic) => this.#interest(topic), limits.routesMax);
  }

  /** Patterns held by all peers. */
  get subscriptions(): number {
    return this.#trie.size;
  }

  connect(session: number, stream: Duplex): Peer & { readonly link: Link } {
    const link = new Link(stream, {
      nowMs: this.#hooks.nowMs,
      dirty: (dirty) => this.#note(dirty),
      taken: () => {
        this.holds.taken(peer);
        this.#hooks.taken(peer);
      },
    });
    const peer = {
      session,
      link,
      patterns: new Set<string>(),
      excluded: new Set<string>(),
      dropped: 0,
      noStallUntilMs: 0,
    };
    return peer;
  }

  subscribe(peer: Peer, patterns: readonly string[], exclude: readonly string[]): Fault | undefined {
    for (const pattern of [...patterns, ...exclude]) {
      const refusal = refusePattern(pattern);
      if (refusal !== undefined) return refusal;
    }
    const added = new Set(patterns.map(canonicalPattern).filter((pattern) => !peer.patterns.has(pattern)));
    const excluded = new Set(exclude.map(canonicalPattern).filter((pattern) => !peer.excluded.has(pattern)));
    const { subscriptionsMax: max, subscriptionsTotalMax: totalMax } = this.limits;
    const wanted = Math.max(peer.patterns.size + added.size, peer.excluded.size + excluded.size);
    if (wanted > max)
      return fault('too_many_subscriptions', `A session may hold ${max} patterns; this one would hold ${wanted}.`, {
        limit: max,
      });
    if (this.#trie.size + this.#excluded.size + added.size + excluded.size > totalMax)
      return fault('too_many_subscriptions', `All sessions together may hold ${totalMax} patterns, and do.`, {
        limit: totalMax,
      });
    for (const pattern of added) {
      peer.patterns.add(pattern);
      this.#trie.add(pattern, peer);
    }
    for (const pattern of excluded) {
      peer.excluded.add(pattern);
      this.#excluded.add(pattern, peer);
    }
    this.routes.invalidate();
    return undefined;
  }

  unsubscribe(peer: Peer, patterns: Iterable<string>): void {
    for (const given of patterns) {
      const pattern = canonicalPattern(given);
      if (peer.excluded.delete(pattern)) this.#excluded.delete(pattern, peer);
      if (peer.patterns.delete(pattern)) this.#trie.delete(pattern, peer);
    }
    this.routes.invalidate();
  }

  disconnect(peer: Peer): void {
    if (peer.patterns.size > 0 || peer.excluded.size > 0) this.unsubscribe(peer, [...peer.patterns, ...peer.excluded]);
    this.holds.release(peer);
  }

  /** Whether a message on this topic would be delivered; checked before the broker makes one of its own. */
  hasSubscribers(topic: string): boolean {
    return this.routes.of(topic).peers.length > 0;
  }

  /** Publishes a frame of the broker's own; `except` already has it. */
  publish(topic: string, frame: Buffer, except = -1): void {
    this.deliver(this.routes.of(topic), frame, 0, frame.length, 1, undefined, except);
  }

  /**
   * Delivers `count` adjacent frames of one route, `bytes[start, end)`. Realtime: a full peer that is reading makes the
   * sender pause for a moment, any other full one loses them.
   */
  deliver(
    route: Route,
    bytes: Buffer,
    start: number,
    end: number,
    count: number,
    sender: Holdable | undefined,
    except = -1,
  ): void {
    const { peers } = route;
    const { outboundBytesMax } = this.limits;
    this.totals.published += count;
    for (let at = 0; at < peers.length; at++) {
      const peer = peers[at]!;
      if (peer.session === except) continue;
      if (peer.link.queuedBytes <= outboundBytesMax || (sender !== undefined && this.stall(peer, sender))) {
        peer.link.push(bytes, start, end);
        this.totals.delivered += count;
      } else {
        peer.dropped += count;
        this.totals.dropped += count;
      }
    }
  }

  /**
   * Pauses the sender for a full peer that is reading, at most `stallMs`; whether the peer may be given more. A peer
   * that does not read, or whose last pause did not help, makes no sender pause.
   */
  stall(peer: Peer, sender: Holdable): boolean {
    const { stallRecentMs, outboundBytesMax } = this.limits;
    const nowMs = this.#hooks.nowMs();
    if (nowMs - peer.link.takenAtMs > stallRecentMs || nowMs < peer.noStallUntilMs) return false;
    if (!this.holds.isHeld(sender)) {
      this.totals.stalls++;
      this.holds.add(peer, sender);
      this.#hooks.stalled(peer, sender);
    }
    return peer.link.queuedBytes <= outboundBytesMax * overshootFactor;
  }

  endStall(peer: Peer, sender: Holdable): void {
    if (peer.link.queuedBytes > this.limits.outboundBytesMax)
      peer.noStallUntilMs = this.#hooks.nowMs() + this.limits.stallRecentMs;
    this.holds.resume(peer, sender);
  }

  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const link of dirty) link.flush();
  }

  #interest(topic: string): readonly Peer[] {
    const found = this.#trie.match(topic);
    if (this.#excluded.size > 0) for (const peer of this.#excluded.match(topic)) found.delete(peer);
    return [...found];
  }

  #note(dirty: Link): void {
    if (this.#dirty.length === 0) this.#hooks.wake();
    this.#dirty.push(dirty);
  }
}

/** Whether the caller has not taken what is kept for it. */
export const isFull = ({ link }: Caller, limits: Limits): boolean => link.queuedBytes > limits.outboundBytesMax;
