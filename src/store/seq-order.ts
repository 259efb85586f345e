/** Tasks that live, by their `seq`, so that a list begins with the newest without a look at all of them. */

export class SeqOrder {
  /** Rising; some may have ended since. */
  #seqs: number[] = [];
  #isSorted = true;

  add(seq: number): void {
    if (seq <= (this.#seqs.at(-1) ?? 0)) this.#isSorted = false;
    this.#seqs.push(seq);
  }

  /** Those below a `seq`, the greatest first. What is added meanwhile is not among them. */
  *below(seq: number): Generator<number> {
    if (!this.#isSorted) this.#sort();
    const seqs = this.#seqs;
    for (let at = placeOf(seqs, seq) - 1; at >= 0; at--) yield seqs[at]!;
  }

  /** Drops those that live no more, when they are most of all. */
  compact(count: number, lives: (seq: number) => boolean): void {
    if (this.#seqs.length > 1024 && this.#seqs.length > 2 * count) this.#seqs = this.#seqs.filter(lives);
  }

  #sort(): void {
    this.#seqs = Array.from(new Set(this.#seqs)).sort((a, b) => a - b);
    this.#isSorted = true;
  }
}

/** How many are smaller, in a rising list. */
function placeOf(seqs: readonly number[], seq: number): number {
  let [low, high] = [0, seqs.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (seqs[middle]! < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
