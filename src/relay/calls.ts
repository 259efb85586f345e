/**
 * Calls in flight. A request is forwarded as it came, only its id is rewritten to one of the broker's, and back in
 * the reply. The parameters are checked for their form and never decoded.
 *
 *     caller ── request id 70001 ──▶ broker ── request id 65540 ──▶ callee
 *     caller ◀── reply id 70001 ─── broker ◀── reply id 65540 ──── callee
 */
import { type Fault, fault } from '../protocol/fault.ts';
import { encodeFrame, encodeReply, Kind, readId, requestIdMax, requestIdMin, rewriteId } from '../protocol/frame.ts';
import type { Limits } from '../protocol/limits.ts';
import type { RequestHead } from '../protocol/request.ts';
import { Deadlines, type Due } from '../time/deadlines.ts';
import type { Caller } from './peer.ts';
import { isFull } from './relay.ts';

interface Call extends Due {
  readonly brokerId: number;
  readonly caller: Caller;
  readonly callerId: number;
  readonly callee: Caller;
  readonly target: string;
}

/** The calls that a session makes, by its ids, and those it answers. */
interface Side {
  readonly made: Map<number, Call>;
  readonly answering: Set<Call>;
}

/** Makes the callee pause for a full caller; whether the caller may be given more. */
type Stall = (caller: Caller) => boolean;

export class Calls {
  readonly #limits: Limits;
  readonly #deadlines = new Deadlines<Call>();
  readonly #calls = new Map<number, Call>();
  readonly #sides = new Map<number, Side>();
  #nextId = requestIdMin;
  total = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  /** Whether the session makes a call under this id. */
  isMade(session: number, id: number): boolean {
    return this.#sides.get(session)?.made.has(id) === true;
  }

  /** Sessions that something is kept of. */
  get sessions(): number {
    return this.#sides.size;
  }

  get nextMs(): number {
    return this.#deadlines.nextMs;
  }

  /** Forwards the request `bytes[start, end)`, whose head was read, or answers why not. `nowMs` is monotonic. */
  forward(
    bytes: Buffer,
    start: number,
    end: number,
    head: RequestHead,
    caller: Caller,
    callee: Caller,
    nowMs: number,
  ): Fault | undefined {
    const made = this.#sides.get(caller.session)?.made;
    const refusal = this.#refusal(head, made, callee);
    if (refusal !== undefined) return refusal;
    const call: Call = {
      dueMs: 0,
      dueIndex: -1,
      brokerId: this.#freeId(),
      caller,
      callerId: head.id,
      callee,
      target: head.target,
    };
    this.#calls.set(call.brokerId, call);
    this.#side(caller).made.set(head.id, call);
    this.#side(callee).answering.add(call);
    const { callMsDefault, callMsMax } = this.#limits;
    this.#deadlines.set(call, nowMs + Math.min(head.timeoutMs || callMsDefault, callMsMax));
    this.total++;
    rewriteId(bytes, start, call.brokerId);
    callee.link.push(bytes, start, end);
    return undefined;
  }

  /**
   * A reply or a chunk from a callee. An answer to a call that is over is dropped. A caller that does not read ends
   * the call; one that reads makes the callee pause (`stall`).
   */
  answer(bytes: Buffer, start: number, end: number, from: number, last: boolean, stall: Stall): void {
    const call = this.#calls.get(readId(bytes, start, end));
    if (call === undefined || call.callee.session !== from) return;
    if (isFull(call.caller, this.#limits) && !stall(call.caller)) {
      if (!last) this.#cancelAtCallee(call);
      this.#end(call, fault('caller_too_slow', `The answer of ${call.target} was not read; the call is over.`));
      return;
    }
    if (last) this.#remove(call);
    rewriteId(bytes, start, call.callerId);
    call.caller.link.push(bytes, start, end);
  }

  /** The caller no longer wants it; false when there is no such call. */
  cancel(session: number, id: number): boolean {
    const call = this.#sides.get(session)?.made.get(id);
    if (call === undefined) return false;
    this.#cancelAtCallee(call);
    this.#end(call, fault('cancelled', `The call to ${call.target} was cancelled.`));
    return true;
  }

  expire(nowMs: number): void {
    for (let call = this.#deadlines.popDue(nowMs); call !== undefined; call = this.#deadlines.popDue(nowMs)) {
      this.#cancelAtCallee(call);
      this.#end(call, fault('deadline_exceeded', `${call.target} did not answer before the timeout.`));
    }
  }

  /** The session is gone: its calls are cancelled, and calls to it fail now. */
  disconnect(session: number): void {
    const side = this.#sides.get(session);
    if (side === undefined) return;
    for (const call of [...side.made.values()]) {
      this.#cancelAtCallee(call);
      this.#remove(call);
    }
    for (const call of [...side.answering])
      this.#end(call, fault('collector_gone', `${call.target} went away before it answered.`));
    this.#sides.delete(session);
  }

  #refusal(head: RequestHead, made: Side['made'] | undefined, callee: Caller): Fault | undefined {
    const { callsMax, callsPerSessionMax } = this.#limits;
    const own = made?.size ?? 0;
    if (own >= callsPerSessionMax || this.#calls.size >= callsMax)
      return fault('too_many_calls', `${own} calls of this session are in flight, ${this.#calls.size} in all.`, {
        retry_after_ms: 100,
        limit: own >= callsPerSessionMax ? callsPerSessionMax : callsMax,
      });
    if (isFull(callee, this.#limits))
      return fault('too_many_calls', `${head.target} does not read the calls that were sent to it.`, {
        retry_after_ms: 1000,
      });
    return made?.has(head.id) === true
      ? fault('invalid_params', `Request id ${head.id} is in use by a call in flight.`, { id: head.id })
      : undefined;
  }

  #side({ session }: Caller): Side {
    let side = this.#sides.get(session);
    if (side === undefined) {
      side = { made: new Map(), answering: new Set() };
      this.#sides.set(session, side);
    }
    return side;
  }

  #cancelAtCallee(call: Call): void {
    call.callee.link.send(encodeFrame([Kind.cancel, call.brokerId]));
  }

  #end(call: Call, refusal: Fault): void {
    this.#remove(call);
    call.caller.link.send(encodeReply(call.callerId, refusal));
  }

  #remove(call: Call): void {
    this.#deadlines.delete(call);
    this.#calls.delete(call.brokerId);
    this.#sides.get(call.caller.session)?.made.delete(call.callerId);
    this.#sides.get(call.callee.session)?.answering.delete(call);
  }

  #freeId(): number {
    do this.#nextId = this.#nextId >= requestIdMax ? requestIdMin : this.#nextId + 1;
    while (this.#calls.has(this.#nextId));
    return this.#nextId;
  }
}
