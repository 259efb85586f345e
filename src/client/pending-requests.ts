/** The requests of one connection that wait for their reply. */
import { type Fault, FaultError, fault } from '../protocol/fault.ts';
import { requestIdMax, requestIdMin } from '../protocol/frame.ts';
import { timerMsMax } from './timer.ts';

interface PendingRequest {
  resolve(result: unknown): void;
  reject(error: Error): void;
  readonly chunk: ((body: unknown) => void) | undefined;
  readonly timer: NodeJS.Timeout;
}

/** The broker answers a request when its timeout has passed; this long after it a caller stops waiting by itself. */
const silenceMs = 2000;

export class PendingRequests {
  readonly #pending = new Map<number, PendingRequest>();
  #latestId = requestIdMin;

  add(
    method: string,
    timeoutMs: number,
    chunk: ((body: unknown) => void) | undefined,
  ): { readonly id: number; readonly reply: Promise<unknown> } {
    const id = this.#freeId();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const expire = () =>
      this.fail(
        id,
        new FaultError({
          code: 'deadline_exceeded',
          message: `No answer to ${method} came within ${Math.round(timeoutMs)} ms.`,
          category: 'timeout',
          retry: true,
        }),
      );
    const timer = setTimeout(expire, Math.min(timeoutMs + silenceMs, timerMsMax));
    this.#pending.set(id, { resolve, reject, chunk, timer });
    return { id, reply: promise };
  }

  has(id: number): boolean {
    return this.#pending.has(id);
  }

  chunk(id: number, body: unknown): void {
    this.#pending.get(id)?.chunk?.(body);
  }

  reply(id: number, status: number, body: unknown): void {
    const request = this.#remove(id);
    if (status === 0) request?.resolve(body);
    else request?.reject(new FaultError(refusalOf(body)));
  }

  fail(id: number, error: Error): void {
    this.#remove(id)?.reject(error);
  }

  failAll(error: Error): void {
    for (const id of [...this.#pending.keys()]) this.fail(id, error);
  }

  #remove(id: number): PendingRequest | undefined {
    const request = this.#pending.get(id);
    if (request !== undefined) {
      clearTimeout(request.timer);
      this.#pending.delete(id);
    }
    return request;
  }

  #freeId(): number {
    do this.#latestId = this.#latestId >= requestIdMax ? requestIdMin : this.#latestId + 1;
    while (this.#pending.has(this.#latestId));
    return this.#latestId;
  }
}

/** A collector may send anything as its refusal; what is none is reported as such, and harms that call only. */
function refusalOf(body: unknown): Fault {
  const isRefusal = typeof body === 'object' && body !== null && 'code' in body && 'message' in body;
  return isRefusal ? (body as Fault) : fault('handler_failed', 'The callee refused the call without a fault.');
}
