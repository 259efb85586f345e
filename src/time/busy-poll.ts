/**
 * Staying awake for a moment. A loop that goes to sleep between a call and its reply pays for being woken, which costs
 * more than the call: on two cores a round trip took 102 µs asleep and 41 µs awake, and less CPU in all (`npm run
 * bench`, the row of calls). So for 50 µs after a call the loop polls instead of sleeping; with nothing to do it sleeps.
 * On one core it always sleeps, since it would take the time from the process that is to answer.
 */
import { availableParallelism } from 'node:os';

const awakeMs = 0.05;
const worthIt = availableParallelism() > 1;

export class BusyPoll {
  #untilMs = 0;
  #polling = false;

  /** An answer is expected soon. */
  expect(): void {
    if (!worthIt) return;
    this.#untilMs = performance.now() + awakeMs;
    if (this.#polling) return;
    this.#polling = true;
    setImmediate(this.#poll);
  }

  readonly #poll = (): void => {
    if (performance.now() < this.#untilMs) setImmediate(this.#poll);
    else this.#polling = false;
  };
}
