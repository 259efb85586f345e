/**
 * Calls in flight. A request is forwarded as it came, only its id is rewritten to one of the broker's, and back in
 * the reply. The parameters are checked for their shape and never decoded.
 *
 *     caller ── request id 70001 ──▶ broker ── request id 65540 ──▶ callee
 *     caller ◀── reply id 70001 ─── broker ◀── reply id 65540 ──── callee
 */
import { type Fault, fault } from '../protocol/fault.ts';
import {
  encodeFrame,
  encodeReply,
  Kind,
  readId,
  readText,
  readUint,
  requestIdMax,
  requestIdMin,
  rewriteId,
} from '../protocol/frame.ts';
import type { Limits } from '../protocol/limits.ts';
import { skipValue } from '../protocol/msgpack.ts';
import { Deadlines, type Due } from '../time/deadlines.ts';
/** The end of a session that frames are pushed into. */
export interface Outlet {
  readonly queuedBytes: number;
  push(bytes: Buffer, start: number, end: number): void;
  send(frame: Buffer): void;
}

export interface Party {
  readonly session: number;
  readonly link: Outlet;
}

interface Call extends Due {
  readonly brokerId: number;
  readonly caller: Party;
  readonly callerId: number;
  readonly callee: Party;
  readonly target: string;
}

/** The head of a request: everything but its parameters, whose place is `paramsStart` to `paramsEnd`. */
export interface RequestHead {
  readonly id: number;
  readonly target: string;
  readonly method: string;
  readonly paramsStart: number;
  readonly paramsEnd: number;
  /** 0 when the caller named none. */
  readonly deadlineMs: number;
}

/** Throws MalformedError when the frame is no request. */
export function readRequest(bytes: Buffer, start: number, end: number): RequestHead {
  const id = readId(bytes, start, end);
  const { text: target, after: afterTarget } = readText(bytes, start + 11, end);
  const { text: method, after: paramsStart } = readText(bytes, afterTarget, end);
  const paramsEnd = skipValue(bytes, paramsStart, end);
  const deadlineMs = paramsEnd < end ? readUint(bytes, paramsEnd, end).value : 0;
  return { id, target, method, paramsStart, paramsEnd, deadlineMs };
}

export class Calls {
  readonly #limits: Limits;
  readonly #deadlines = new Deadlines<Call>();
  readonly #calls = new Map<number, Call>();
  /** By caller: session · 2^32 + id. Session numbers stay far below 2^21, so the key is exact. */
  readonly #byCaller = new Map<number, Call>();
  #nextId = requestIdMin;
  total = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  get nextMs(): number {
    return this.#deadlines.nextMs;
  }

  /** Forwards the request `bytes[start, end)`, whose head was read, or says why not. */
  forward(
    bytes: Buffer,
    start: number,
    end: number,
    head: RequestHead,
    caller: Party,
    callee: Party,
    nowMs: number,
  ): Fault | undefined {
    if (this.#calls.size >= this.#limits.callsMax)
      return fault('too_many_calls', `${this.#calls.size} calls are in flight, the limit.`, { retry_after_ms: 100 });
    if (callee.link.queuedBytes > this.#limits.outboundBytesMax)
      return fault('too_many_calls', `${head.target} does not read the calls that were sent to it.`, {
        retry_after_ms: 1000,
      });
    const key = callerKey(caller.session, head.id);
    if (this.#byCaller.has(key))
      return fault('invalid_params', `Request id ${head.id} is in use by a call in flight.`, { id: head.id });
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
    this.#byCaller.set(key, call);
    this.#deadlines.set(
      call,
      nowMs + (head.deadlineMs === 0 ? this.#limits.callMsDefault : Math.min(head.deadlineMs, this.#limits.callMsMax)),
    );
    this.total++;
    rewriteId(bytes, start, call.brokerId);
    callee.link.push(bytes, start, end);
    return undefined;
  }

  /** A reply or a chunk from a callee. An answer nobody waits for any more is dropped. */
  answer(bytes: Buffer, start: number, end: number, from: number, last: boolean): void {
    const call = this.#calls.get(readId(bytes, start, end));
    if (call === undefined || call.callee.session !== from) return;
    if (last) this.#forget(call);
    rewriteId(bytes, start, call.callerId);
    call.caller.link.push(bytes, start, end);
  }

  /** The caller no longer wants it; false when there is no such call. */
  cancel(session: number, id: number): boolean {
    const call = this.#byCaller.get(callerKey(session, id));
    if (call === undefined) return false;
    this.#cancelAtCallee(call);
    this.#end(call, fault('cancelled', `The call to ${call.target} was cancelled.`));
    return true;
  }

  expire(nowMs: number): void {
    for (let call = this.#deadlines.popDue(nowMs); call !== undefined; call = this.#deadlines.popDue(nowMs)) {
      this.#cancelAtCallee(call);
      this.#end(call, fault('deadline_exceeded', `${call.target} did not answer before the deadline.`));
    }
  }

  /** The session is gone: its calls are cancelled, and calls to it fail now. */
  disconnect(session: number): void {
    for (const call of [...this.#calls.values()]) {
      if (call.caller.session === session) {
        this.#cancelAtCallee(call);
        this.#forget(call);
      } else if (call.callee.session === session)
        this.#end(call, fault('collector_gone', `${call.target} went away before it answered.`));
    }
  }

  #cancelAtCallee(call: Call): void {
    call.callee.link.send(encodeFrame([Kind.cancel, call.brokerId]));
  }

  #end(call: Call, refusal: Fault): void {
    this.#forget(call);
    call.caller.link.send(encodeReply(call.callerId, refusal));
  }

  #forget(call: Call): void {
    this.#deadlines.delete(call);
    this.#calls.delete(call.brokerId);
    this.#byCaller.delete(callerKey(call.caller.session, call.callerId));
  }

  #freeId(): number {
    do this.#nextId = this.#nextId >= requestIdMax ? requestIdMin : this.#nextId + 1;
    while (this.#calls.has(this.#nextId));
    return this.#nextId;
  }
}

const callerKey = (session: number, id: number): number => session * 2 ** 32 + id;
