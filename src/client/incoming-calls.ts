/** The calls that come to a client: each runs its handler and is answered on the connection it came by. */
import { type Fault, FaultError, fault } from '../protocol/fault.ts';
import type { Connection } from './connection.ts';
import type { IncomingCall } from './incoming-frame.ts';

/** Answers the calls that come to this session. Throw to refuse; yield to stream. */
export type CallHandler = (method: string, params: unknown, signal: AbortSignal) => unknown;

export class IncomingCalls {
  handler: CallHandler = () => {
    throw new FaultError(fault('unsupported_operation', 'This session answers no calls.'));
  };
  readonly #running = new Map<number, AbortController>();

  async answer({ id, method, params }: IncomingCall, connection: Connection): Promise<void> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    try {
      const result = await this.handler(method, params, controller.signal);
      if (isStream(result)) {
        for await (const part of result) {
          if (controller.signal.aborted) break;
          await connection.chunk(id, part);
        }
        connection.reply(id, 0, null);
      } else connection.reply(id, 0, result);
    } catch (error) {
      connection.reply(id, 1, faultOf(error));
    } finally {
      if (this.#running.get(id) === controller) this.#running.delete(id);
    }
  }

  /** The caller no longer wants the answer. */
  cancel(id: number): void {
    this.#running.get(id)?.abort();
  }

  /** The connection ended: no call can be answered any more. */
  cancelAll(): void {
    for (const controller of this.#running.values()) controller.abort();
  }
}

function faultOf(error: unknown): Omit<Fault, 'code'> & { code: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof FaultError)) return fault('handler_failed', message);
  const { code, retry, context } = error;
  return { code, message, category: error.category as Fault['category'], retry, context };
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
