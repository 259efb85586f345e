/** A seeded generator of numbers in [0, 1): mulberry32 (Tommy Ettinger, 2017; public domain). Not for secrets. */
export interface Random {
  seed: number;
}

export function nextRandom(random: Random): number {
  random.seed = (random.seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(random.seed ^ (random.seed >>> 15), 1 | random.seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

/**
 * How long to wait before attempt n + 1: uniform in 0 … min(base · 2^(n−1), cap), in ms ("full jitter", Marc Brooker,
 * "Exponential Backoff And Jitter", 2015).
 */
export function backoffMs(random: Random, attempt: number, baseMs: number, capMs: number): number {
  return Math.round(nextRandom(random) * Math.min(baseMs * 2 ** (attempt - 1), capMs));
}
