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
  /** What ends the work on a request, by its id. */
  readonly #cancels = new Map<number, () => void>();
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

  /** `cancel` is called when the request is cancelled, or its session ends; undefined takes that back. */
  onCancel(id: number, cancel: (() => void) | undefined): void {
    if (cancel === undefined) this.#cancels.delete(id);
    else this.#cancels.set(id, cancel);
  }

  /** False when there is nothing to cancel. */
  cancel(id: number): boolean {
    const cancel = this.#cancels.get(id);
    cancel?.();
    return cancel !== undefined;
  }

  close(): void {
    for (const id of this.#cancels.keys()) this.cancel(id);
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
