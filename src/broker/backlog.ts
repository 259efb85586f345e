/**
 * Requests of a session whose answers come later: a commit or a look-up takes its time, and what came in for it is kept
 * meanwhile. Over the limit nothing more of the session is read until half of it has been answered.
 */
import type { ReplyTo } from '../core/input.ts';

export class Backlog {
  readonly #bytesMax: number;
  readonly #resume: () => void;
  /** By the id of the request, which is in use until this very one is answered. */
  readonly #requests = new Map<number, { readonly to: ReplyTo; readonly bytes: number }>();
  #bytes = 0;
  #isFull = false;

  constructor(bytesMax: number, resume: () => void) {
    this.#bytesMax = bytesMax;
    this.#resume = resume;
  }

  /** Of the requests that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether nothing more is to be read; `resume` follows. */
  get isFull(): boolean {
    this.#isFull ||= this.#bytes > this.#bytesMax;
    return this.#isFull;
  }

  /** Whether the id is in use. */
  has(id: number): boolean {
    return this.#requests.has(id);
  }

  add(to: ReplyTo, bytes: number): void {
    this.#requests.set(to.id, { to, bytes });
    this.#bytes += bytes;
  }

  answered(to: ReplyTo): void {
    const request = this.#requests.get(to.id);
    if (request?.to !== to) return; // one that was refused at once, perhaps for its id
    this.#requests.delete(to.id);
    this.#bytes -= request.bytes;
    if (!this.#isFull || this.#bytes > this.#bytesMax / 2) return;
    this.#isFull = false;
    this.#resume();
  }
}
