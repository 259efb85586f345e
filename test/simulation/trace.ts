/** What happened in a life: a hash over all of it, and its last lines for whoever must find out why. */

const linesKept = Number(process.env.DEYE_TRACE ?? 40);

export class Trace {
  readonly #lines: string[] = [];
  readonly #nowMs: () => number;
  #at = 0;
  #hash = 0x811c9dc5;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** FNV-1a; the same seed gives the same. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  note(what: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${what}`;
    let hash = this.#hash;
    for (let at = 0; at < line.length; at++) hash = Math.imul(hash ^ line.charCodeAt(at), 0x01000193);
    this.#hash = hash;
    this.#lines[this.#at++ % linesKept] = line;
  }

  get tail(): string {
    const from = this.#at % linesKept;
    return [...this.#lines.slice(from), ...this.#lines.slice(0, from)].join('\n');
  }
}
