/**
 * Who waits for whom. A session that is held is not read until the peer it waits for has taken half of what is kept
 * for it, or is gone. A stall is a hold with an end of its own.
 */
import type { Limits } from '../protocol/limits.ts';
import type { Peer } from './peer.ts';

/** The inbound end of a session; `resume` presents the frame again that was not taken. */
export interface Holdable {
  readonly resume: () => void;
}

export class Holds {
  readonly #limits: Limits;
  /** The first session now waits for the peer. */
  readonly #began: (peer: Peer) => void;
  /** By peer, the sessions that wait for it. A set lives as long as at least one waits without a break. */
  readonly #waiting = new Map<Peer, Set<Holdable>>();
  readonly #waitsFor = new Map<Holdable, Set<Peer>>();

  constructor(limits: Limits, began: (peer: Peer) => void) {
    this.#limits = limits;
    this.#began = began;
  }

  /** Entries in both maps. */
  get size(): number {
    return this.#waiting.size + this.#waitsFor.size;
  }

  /** Whether the peer is over its limit; then `held` is resumed when it no longer is. */
  hold(peer: Peer, held: Holdable): boolean {
    if (peer.link.queuedBytes <= this.#limits.outboundBytesMax) return false;
    this.add(peer, held);
    return true;
  }

  add(peer: Peer, held: Holdable): void {
    const waiting = this.#waiting.get(peer);
    if (waiting === undefined) {
      this.#waiting.set(peer, new Set([held]));
      this.#began(peer);
    } else waiting.add(held);
    const peers = this.#waitsFor.get(held);
    if (peers === undefined) this.#waitsFor.set(held, new Set([peer]));
    else peers.add(peer);
  }

  isHolding(peer: Peer): boolean {
    return this.#waiting.has(peer);
  }

  /** Whether sessions have waited for the peer without a break since this was made. */
  since(peer: Peer): () => boolean {
    const waiting = this.#waiting.get(peer);
    return () => waiting !== undefined && this.#waiting.get(peer) === waiting;
  }

  isHeld(held: Holdable): boolean {
    return this.#waitsFor.size > 0 && this.#waitsFor.has(held);
  }

  /** The peer took bytes. */
  taken(peer: Peer): void {
    if (this.#waiting.size > 0 && peer.link.queuedBytes <= this.#limits.outboundBytesMax / 2) this.release(peer);
  }

  /** Resumes every session that waits for the peer. */
  release(peer: Peer): void {
    const waiting = this.#waiting.get(peer);
    if (waiting === undefined) return;
    this.#waiting.delete(peer);
    for (const held of waiting) {
      this.#stopWaiting(held, peer);
      held.resume();
    }
  }

  /** Resumes one waiting session, whatever its peer does. */
  resume(peer: Peer, held: Holdable): void {
    if (this.#waiting.get(peer)?.has(held) !== true) return;
    this.#remove(peer, held);
    held.resume();
  }

  /** A session is closed and waits no more. */
  remove(held: Holdable): void {
    for (const peer of this.#waitsFor.get(held) ?? []) this.#remove(peer, held);
  }

  #remove(peer: Peer, held: Holdable): void {
    const waiting = this.#waiting.get(peer);
    waiting?.delete(held);
    if (waiting?.size === 0) this.#waiting.delete(peer);
    this.#stopWaiting(held, peer);
  }

  #stopWaiting(held: Holdable, peer: Peer): void {
    const peers = this.#waitsFor.get(held);
    peers?.delete(peer);
    if (peers?.size === 0) this.#waitsFor.delete(held);
  }
}
