/**
 * Requests of a session whose answers come later: a commit or a look-up takes its time, and what came in for it is kept
 * meanwhile. Over the limit nothing more of the session is read until half of it has been answered.
 */
import type { ReplyTo } from '../core/input.ts';

export class Backlog {
  readonly #bytesMax: number;
  readonly #resume: () => void;
  /** Bytes by request: this very one, since a client may use an id twice. */
  readonly #requests = new Map<ReplyTo, number>();
  #bytes = 0;
  #isFull = false;

  constructor(bytesMax: number, resume: () => void) {
    this.#bytesMax = bytesMax;
    this.#resume = resume;
  }

  /** Whether nothing more is to be read; `resume` follows. */
  get isFull(): boolean {
    this.#isFull ||= this.#bytes > this.#bytesMax;
    return this.#isFull;
  }

  add(to: ReplyTo, bytes: number): void {
    this.#requests.set(to, bytes);
    this.#bytes += bytes;
  }

  answered(to: ReplyTo): void {
    const bytes = this.#requests.get(to);
    if (bytes === undefined) return;
    this.#requests.delete(to);
    this.#bytes -= bytes;
    if (!this.#isFull || this.#bytes > this.#bytesMax / 2) return;
    this.#isFull = false;
    this.#resume();
  }
}
