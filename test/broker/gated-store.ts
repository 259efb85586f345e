/** A store whose commits and look-ups wait, succeed or fail as the test says. */
import type { StoreRecord } from '../../src/core/record.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { StoreError } from '../../src/store/port.ts';

export class GatedStore extends MemoryStore {
  failing = false;
  #waiting: (() => void)[] | undefined;

  /** From now on everything waits. */
  hold(): this {
    this.#waiting ??= [];
    return this;
  }

  /** What waits goes on, in its order, and nothing waits any more. */
  release(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const go of waiting) go();
  }

  override async commit(records: readonly StoreRecord[]): Promise<void> {
    await this.#pass();
    return super.commit(records);
  }

  override async states(ids: readonly string[]): ReturnType<MemoryStore['states']> {
    await this.#pass();
    return super.states(ids);
  }

  async #pass(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting !== undefined) await new Promise<void>((resolve) => waiting.push(resolve));
    if (this.failing) throw new StoreError('store_failed', 'The disk has gone.');
  }
}
