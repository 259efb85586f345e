/** Cuts what a child prints into lines. A line that is too long is cut off, so that memory stays bounded. */

export class LineCutter {
  readonly #bytesMax: number;
  readonly #line: (text: string) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** The line was too long and has been handed on; the rest of it is dropped. */
  #cut = false;

  constructor(bytesMax: number, line: (text: string) => void) {
    this.#bytesMax = bytesMax;
    this.#line = line;
  }

  feed(chunk: Buffer): void {
    for (let start = 0; start < chunk.length; ) {
      const at = chunk.indexOf(0x0a, start);
      this.#add(chunk.subarray(start, at === -1 ? chunk.length : at));
      if (at === -1) return;
      this.#finish();
      start = at + 1;
    }
  }

  /** The child has closed its output; what it did not end with a newline is a line, too. */
  end(): void {
    if (this.#bytes > 0 || this.#cut) this.#finish();
  }

  #add(part: Buffer): void {
    if (this.#cut || part.length === 0) return;
    const room = this.#bytesMax - this.#bytes;
    // A copy: a slice would keep its whole chunk in memory until the line ends.
    this.#parts.push(Buffer.from(part.subarray(0, room)));
    this.#bytes += Math.min(part.length, room);
    if (part.length <= room) return;
    this.#line(`${this.#text()} … cut at ${this.#bytesMax} bytes`);
    this.#cut = true;
  }

  #finish(): void {
    if (!this.#cut) this.#line(this.#text());
    this.#cut = false;
    this.#bytes = 0;
  }

  #text(): string {
    const text = Buffer.concat(this.#parts).toString();
    this.#parts = [];
    this.#bytes = 0;
    return text.endsWith('\r') ? text.slice(0, -1) : text;
  }
}
