/**
 * How much of some work is done at once, so that a slice takes no longer than its time: the size follows what the slices
 * before it took.
 */
const targetMs = 5;
/** Of one slice to the next: grows slowly, falls at once. */
const growthMost = 1.5;
/** A slice that is smaller than that says nothing of how long one takes. */
const tellingPart = 0.5;

export class Slice {
  readonly #least: number;
  readonly #most: number;
  #size: number;

  constructor(least: number, most: number) {
    this.#least = least;
    this.#most = most;
    this.#size = least;
  }

  /** Units of work of the next slice. */
  get size(): number {
    return Math.floor(this.#size);
  }

  /** A slice of so many units took so long. */
  took(units: number, ms: number): void {
    const fitting = (units * targetMs) / Math.max(ms, 0.01);
    if (fitting >= this.#size && units < this.#size * tellingPart) return;
    this.#size = Math.min(this.#most, Math.max(this.#least, Math.min(fitting, this.#size * growthMost)));
  }
}
