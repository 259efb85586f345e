/** Calls that the broker itself makes to a collector: session 0, with a link that ends here. */
import { type Fault, FaultError, fault } from '../protocol/fault.ts';
import { encodeFrame, Kind, readId, requestIdMin } from '../protocol/frame.ts';
import { decodeValue } from '../protocol/msgpack.ts';
import { type Party, type RequestHead, readRequest } from '../relay/calls.ts';

export class InternalCalls {
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  #nextId = requestIdMin;

  call(
    target: string,
    method: string,
    params: unknown,
    deadlineMs: number,
    forward: (frame: Buffer, head: RequestHead, caller: Party) => Fault | undefined,
  ): Promise<unknown> {
    const id = this.#nextId++;
    const frame = encodeFrame([Kind.request, id, target, method, params, deadlineMs]);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const refusal = forward(frame, readRequest(frame, 0, frame.length), this.#party);
      if (refusal !== undefined) this.#settle(id, 1, refusal);
    });
  }

  readonly #party: Party = {
    session: 0,
    link: {
      queuedBytes: 0,
      push: (bytes, start, end) => this.#heard(bytes.subarray(start, end)),
      send: (frame) => this.#heard(frame),
    },
  };

  #heard(frame: Buffer): void {
    if (frame[5] !== Kind.reply) return; // a part of a stream, which nobody here asked for
    try {
      const [, id, status, body] = decodeValue(frame, 4) as [number, number, number, unknown];
      this.#settle(id, status, body);
    } catch (error) {
      const id = readId(frame, 0, frame.length);
      this.#settle(id, 1, fault('malformed_frame', `The answer is no value: ${(error as Error).message}.`));
    }
  }

  #settle(id: number, status: number, body: unknown): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (status === 0) waiting?.resolve(body);
    else waiting?.reject(new FaultError(body as Fault));
  }
}
