/** The subscriptions of a client, and the patterns that the broker must know for them: each once, however many use it. */
import { FaultError } from '../protocol/fault.ts';
import { canonicalPattern, refusePattern } from '../protocol/topic.ts';
import type { Message } from './incoming-frame.ts';
import type { Subscription } from './subscription.ts';

export class Subscriptions {
  readonly #all = new Set<Subscription>();
  readonly #uses = new Map<string, number>();

  /** Every pattern in use, which a new connection must subscribe to, in portions that fit one request each. */
  patternsBy(count: number): string[][] {
    const patterns = [...this.#uses.keys()];
    return Array.from({ length: Math.ceil(patterns.length / count) }, (_, at) =>
      patterns.slice(at * count, (at + 1) * count),
    );
  }

  /** Throws `bad_pattern` before anything is counted, so that restoring a connection never fails by a pattern. */
  add(subscription: Subscription): void {
    for (const pattern of subscription.patterns) {
      const refusal = refusePattern(pattern);
      if (refusal !== undefined) throw new FaultError(refusal);
    }
    this.#all.add(subscription);
    for (const pattern of subscription.patterns) {
      const key = canonicalPattern(pattern);
      this.#uses.set(key, (this.#uses.get(key) ?? 0) + 1);
    }
  }

  /** Returns the patterns that no subscription uses any more. */
  remove(subscription: Subscription): string[] {
    if (!this.#all.delete(subscription)) return [];
    const unused: string[] = [];
    for (const pattern of subscription.patterns.map(canonicalPattern)) {
      const uses = this.#uses.get(pattern)! - 1;
      if (uses > 0) this.#uses.set(pattern, uses);
      else {
        this.#uses.delete(pattern);
        unused.push(pattern);
      }
    }
    return unused;
  }

  deliver(message: Message): void {
    for (const subscription of this.#all) subscription.deliver(message);
  }

  /** The client is closed: nothing comes any more. */
  finishAll(): void {
    for (const subscription of this.#all) subscription.finish();
    this.#all.clear();
    this.#uses.clear();
  }
}
