/** The confirmed publishes of one connection that wait for their ack. Acks are cumulative, in the order of publishing. */
import { type Fault, FaultError } from '../protocol/fault.ts';

/** How many subscribers were handed a confirmed publish. */
export interface Ack {
  readonly subscribers: number;
}

interface PendingAck {
  readonly sequence: number;
  resolve(ack: Ack): void;
  reject(error: Error): void;
}

export class PendingAcks {
  readonly #pending: PendingAck[] = [];
  /** What the next publish is numbered. */
  nextSequence = 1;

  /** The publish that leaves now. */
  add(resolve: (ack: Ack) => void, reject: (error: Error) => void): void {
    this.#pending.push({ sequence: this.nextSequence++, resolve, reject });
  }

  /** Settles all up to `sequence`. A refusal is meant for the last of them only. */
  ack(sequence: number, subscribers: number, refusal: Fault | undefined): void {
    const behind = this.#pending.findIndex((publish) => publish.sequence > sequence);
    for (const publish of this.#pending.splice(0, behind === -1 ? this.#pending.length : behind)) {
      if (refusal !== undefined && publish.sequence === sequence) publish.reject(new FaultError(refusal));
      else publish.resolve({ subscribers });
    }
  }

  failAll(error: Error): void {
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}
