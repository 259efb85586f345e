/** All chance of a life, from its seed. */
import { nextRandom, type Random } from '../../src/core/random.ts';

export class Dice {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = { seed };
  }

  /** A whole number from 0 to below `below`. */
  pick(below: number): number {
    return Math.floor(nextRandom(this.#random) * below);
  }

  between(least: number, most: number): number {
    return least + this.pick(most - least + 1);
  }

  chance(probability: number): boolean {
    return nextRandom(this.#random) < probability;
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.pick(choices.length)]!;
  }

  some<T>(choices: readonly T[], probability: number): T[] {
    return choices.filter(() => this.chance(probability));
  }

  /** Mostly short, seldom long; with fractions, as real clocks have them. */
  spanMs(mostMs: number): number {
    const part = nextRandom(this.#random);
    return part * part * mostMs;
  }
}
