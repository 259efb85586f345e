/** Calls that the broker itself makes to a collector: session 0, with a link that ends here. */
import { z } from 'zod';
import { type Fault, FaultError, fault } from '../protocol/fault.ts';
import { encodeFrame, Kind, readId, requestIdMin } from '../protocol/frame.ts';
import { decodeValue } from '../protocol/msgpack.ts';
import { type RequestHead, readRequest } from '../protocol/request.ts';
import type { Caller } from '../relay/peer.ts';

/** Other fields of a callee's refusal are ignored. */
const refusalSchema = z.object({ code: z.string(), message: z.string() });

export class InternalCalls {
  readonly #pending = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  #nextId = requestIdMin;
  readonly #caller: Caller = {
    session: 0,
    link: {
      queuedBytes: 0,
      takenAtMs: 0,
      push: (bytes, start, end) => this.#onFrame(bytes.subarray(start, end)),
      send: (frame) => this.#onFrame(frame),
    },
  };

  /** Rejects with the FaultError of a refusal. */
  call(
    target: string,
    method: string,
    params: unknown,
    timeoutMs: number,
    forward: (frame: Buffer, head: RequestHead, caller: Caller) => Fault | undefined,
  ): Promise<unknown> {
    const id = this.#nextId++;
    const frame = encodeFrame([Kind.request, id, target, method, params, timeoutMs]);
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      const refusal = forward(frame, readRequest(frame, 0, frame.length), this.#caller);
      if (refusal !== undefined) this.#settle(id, 1, refusal);
    });
  }

  #onFrame(frame: Buffer): void {
    if (frame[5] !== Kind.reply) return; // a part of a stream, which the broker's own calls ignore
    const id = readId(frame, 0, frame.length);
    try {
      const [, , status, body] = decodeValue(frame, 4) as [number, number, number, unknown];
      this.#settle(id, status, body);
    } catch (error) {
      this.#settle(id, 1, fault('malformed_body', `The answer is not a value: ${(error as Error).message}.`));
    }
  }

  #settle(id: number, status: number, body: unknown): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (status === 0) return pending?.resolve(body);
    const refusal = refusalSchema.safeParse(body);
    pending?.reject(
      new FaultError(refusal.success ? refusal.data : fault('malformed_body', 'The refusal has no code and message.')),
    );
  }
}
