/**
 * One session as it goes over the wire. Every answer of the broker is held against its row of the tables: replies parse
 * with the method's schema and have no key that it does not name (also those of the methods that all collectors have),
 * faults are among those of the row and say what to do, a goodbye carries a code that ends sessions and nothing else
 * does, a durable method answers after its commit, and no frame is longer than the welcome allows. Knows nothing of
 * streams: feed it decoded frames, from either end.
 */
import { isDeepStrictEqual } from 'node:util';
import { type CollectorMethod, collectorMethods } from '../../src/protocol/collector-method.ts';
import { advice, callFaults, commonFaults, type FaultCode, faultTable } from '../../src/protocol/fault.ts';
import { Kind } from '../../src/protocol/frame.ts';
import { type Method, methodTable } from '../../src/protocol/message.ts';
import type { MethodRow } from '../../src/protocol/method-row.ts';
import { faultSchema } from '../../src/protocol/schema.ts';
import { snapshotSchema, statusTopic } from '../../src/protocol/view-schema.ts';
import type { CommitLedger } from './ledger.ts';

export interface Witness {
  violation(text: string): void;
  /** A method, a fault of it, a fault code was spoken: `task.show ok`, `task.show not_found`, `fault not_found`. */
  spoken(item: string): void;
}

export interface ConversationOptions extends Witness {
  /** What the broker's store has committed, where it can be seen. */
  readonly ledger?: CommitLedger | undefined;
  /** Refusals of callees that were seen on their way to the broker, where all sessions are seen. */
  readonly calleeFaults?: CalleeFaults | undefined;
  /** Whether collectors lie here, as those of the simulator do: then their answers prove nothing. */
  readonly collectorsLie?: boolean;
}

/** Refusals by callees are passed on as they come, so they are told from the broker's own by having been seen before. */
export class CalleeFaults {
  readonly #counts = new Map<string, number>();

  add(fault: unknown): void {
    const key = JSON.stringify(fault);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  take(fault: unknown): boolean {
    const key = JSON.stringify(fault);
    const count = this.#counts.get(key) ?? 0;
    if (count <= 1) this.#counts.delete(key);
    else this.#counts.set(key, count - 1);
    return count > 0;
  }
}

/** What the message of a fault says about what to do; whoever gives the fault says it where no advice does. */
const ownHints: Readonly<Partial<Record<FaultCode, RegExp>>> = {
  protocol_version: /Use a deye/,
  store_unwritable: /The broker stops: ./,
  unsupported_operation: /Did you mean|broker\.capabilities|Start a broker with a store on the disk/,
  backup_failed: /Make room|Name another|Try again|deye store verify/,
  target_exists: /missing or empty/,
  reply_too_large: /Ask for less/,
  not_found: /See: deye (task|collectors) ls/,
  id_taken: /Choose another id|One session is one collector/,
  not_registered: /Send collector\.register first/,
  stale_lease: /Drop the attempt/,
};

const saysWhatToDo = (code: FaultCode, message: string): boolean =>
  message.endsWith(advice[code] ?? '') && ownHints[code]?.test(message) !== false;

interface Verdict {
  readonly violations: string[];
  readonly spoken: string[];
}

interface Request {
  readonly target: string;
  readonly method: string;
  readonly params: unknown;
}

const ackFaults: readonly string[] = ['bad_topic', 'not_allowed'];
/** The row of a method that is not in the table. */
const unknownMethodFaults: readonly string[] = ['unsupported_operation'];

export class Conversation {
  readonly #options: ConversationOptions;
  /** By id. An id that is used again before its answer came has several requests, and answers in any order. */
  readonly #open = new Map<unknown, { readonly requests: Request[]; answers: number }>();
  /** Of the request that is being looked at. */
  readonly #verdicts: Verdict[] = [];
  #role: unknown = 'operator';
  #frameBytesMax = Number.POSITIVE_INFINITY;

  constructor(options: ConversationOptions) {
    this.#options = options;
  }

  /** A frame of the client. */
  sent(frame: readonly unknown[]): void {
    const [kind, id] = frame;
    if (kind === Kind.hello) this.#role = (id as { role?: string } | undefined)?.role ?? 'operator';
    else if (kind === Kind.reply && frame[2] === 1) this.#options.calleeFaults?.add(frame[3]);
    else if (kind === Kind.request) {
      const request = { target: String(frame[2]), method: String(frame[3]), params: frame[4] };
      const same = this.#open.get(id);
      if (same === undefined) this.#open.set(id, { requests: [request], answers: 0 });
      else same.requests.push(request);
    }
  }

  /** A frame of the broker, and its length without the prefix. */
  received(frame: readonly unknown[], bytes: number): void {
    if (bytes > this.#frameBytesMax) this.#violation(`a frame of ${bytes} bytes is over ${this.#frameBytesMax}`);
    const [kind, first] = frame;
    switch (kind) {
      case Kind.welcome:
        this.#frameBytesMax = (first as { limits: { frame_bytes_max: number } }).limits.frame_bytes_max;
        return;
      case Kind.ack:
        if (frame.length > 3 && this.#isFault(frame[3], false, 'ack')) this.#among(frame[3], ackFaults, 'ack');
        return;
      case Kind.reply:
        return this.#reply(first, frame[2], frame[3]);
      case Kind.chunk:
        if (!this.#open.has(first)) this.#violation(`a chunk for ${first}, which is not open`);
        return;
      case Kind.goodbye:
        this.#isFault(first, true, 'goodbye');
        return;
      case Kind.publish:
        if (first === statusTopic) this.#parse('broker.snapshot (published)', snapshotSchema, frame[2]);
        return;
    }
  }

  #reply(id: unknown, status: unknown, body: unknown): void {
    const same = this.#open.get(id);
    if (same === undefined) return this.#violation(`a reply to ${id}, which is not open`);
    const verdicts = same.requests.map((request) => this.#verdict(request, status, body));
    if (++same.answers === same.requests.length) this.#open.delete(id);
    const { violations, spoken } = verdicts.find((verdict) => verdict.violations.length === 0) ?? verdicts[0]!;
    for (const text of violations) this.#options.violation(text);
    for (const item of spoken) this.#options.spoken(item);
  }

  #verdict(request: Request, status: unknown, body: unknown): Verdict {
    const verdict: Verdict = { violations: [], spoken: [] };
    this.#verdicts.push(verdict);
    if (request.target !== 'broker') this.#called(request, status, body);
    else if (status === 0) this.#succeeded(request, body);
    else this.#refused(request, body);
    this.#verdicts.pop();
    return verdict;
  }

  #succeeded({ method, params }: Request, body: unknown): void {
    const row = rowOf(method);
    if (row === undefined) return this.#violation(`${method} is not in the table and was answered`);
    if (!row.roles.some((role) => role === this.#role)) this.#violation(`${method} was answered to ${this.#role}`);
    this.#parse(method, row.reply, body);
    if (method === 'task.submit_batch') this.#outcomes(body);
    const missing = row.durable ? this.#options.ledger?.missing(method, params, body) : undefined;
    if (missing !== undefined) this.#violation(`${method} was answered before its commit: ${missing}`);
    this.#spoken(`${method} ok`);
  }

  /** Each task of a batch is refused with the faults of a submit. */
  #outcomes(body: unknown): void {
    const { outcomes = [] } = body as { outcomes?: object[] };
    for (const one of outcomes) {
      if (!('code' in one) || !this.#isFault(one, false, 'task.submit_batch')) continue;
      this.#among(one, [...methodTable['task.submit'].faults, ...commonFaults], 'an outcome of task.submit_batch');
    }
  }

  #refused({ method }: Request, body: unknown): void {
    if (!this.#isFault(body, false, method)) return;
    const row = rowOf(method);
    this.#among(body, row === undefined ? unknownMethodFaults : [...row.faults, ...commonFaults], method);
    this.#spoken(`${method} ${(body as { code: string }).code}`);
  }

  #called({ target, method }: Request, status: unknown, body: unknown): void {
    if (status === undefined) return; // the callee's answer is no value
    if (status === 0) return this.#answered(method, body);
    const { code } = (body ?? {}) as { code?: string };
    const { calleeFaults } = this.#options;
    if (calleeFaults?.take(body) === true) {
      if (code !== undefined && Object.hasOwn(faultTable, code)) this.#spoken(`fault ${code}`);
      return;
    }
    if (calleeFaults === undefined && !callFaults.some((known) => known === code)) return;
    const what = `a call of ${method} to ${target}`;
    if (this.#isFault(body, false, what)) this.#among(body, callFaults, what);
    this.#spoken(`call ${code}`);
  }

  /** What a collector answers is its own, but for the methods that every collector has. */
  #answered(method: string, body: unknown): void {
    if (Object.hasOwn(collectorMethods, method) && this.#options.collectorsLie !== true) {
      if (!this.#parse(method, collectorMethods[method as CollectorMethod].reply, body)) return;
      this.#spoken(`${method} ok`);
    }
    this.#spoken('call ok');
  }

  #isFault(body: unknown, closes: boolean, where: string): body is { code: FaultCode } {
    if (!this.#parse(`the fault of ${where}`, faultSchema, body)) return false;
    const { code, category, retry, message } = body as { [key: string]: unknown; code: string };
    const row = Object.hasOwn(faultTable, code) ? faultTable[code as FaultCode] : undefined;
    if (row === undefined) this.#violation(`${where} has the code ${code}, which is not in the table`);
    else if (row.closes !== closes)
      this.#violation(`${where} has the code ${code}, which ${closes ? 'does not end' : 'ends'} sessions`);
    else if (row.category !== category || row.retry !== retry)
      this.#violation(`${where}: ${code} is not as in its row: ${category}, ${retry}`);
    else if (String(message).length < 10) this.#violation(`${where}: ${code} has no message worth reading`);
    else if (!saysWhatToDo(code as FaultCode, String(message)))
      this.#violation(`${where}: ${code} does not say what to do: ${message}`);
    else this.#spoken(`fault ${code}`);
    return row !== undefined;
  }

  #among(body: unknown, codes: readonly string[], where: string): void {
    const { code } = body as { code: string };
    if (!codes.includes(code)) this.#violation(`${where} was refused with ${code}, which its row does not list`);
  }

  /** Parsing drops unknown keys, so what is left must be what came. */
  #parse(what: string, schema: MethodRow['reply'], body: unknown): boolean {
    const { success, data, error } = schema.safeParse(body);
    if (!success) this.#violation(`${what} does not fit its schema: ${error.message.replace(/\s+/g, ' ')}`);
    else if (!isDeepStrictEqual(data, body))
      this.#violation(`${what} has keys that its schema does not name: ${unnamed(body, data)}`);
    else return true;
    return false;
  }

  #violation(text: string): void {
    const verdict = this.#verdicts.at(-1);
    if (verdict === undefined) this.#options.violation(text);
    else verdict.violations.push(text);
  }

  #spoken(item: string): void {
    const verdict = this.#verdicts.at(-1);
    if (verdict === undefined) this.#options.spoken(item);
    else verdict.spoken.push(item);
  }
}

const rowOf = (method: string): MethodRow | undefined =>
  Object.hasOwn(methodTable, method) ? methodTable[method as Method] : undefined;

/** The paths in `body` that are not in `data`. */
function unnamed(body: unknown, data: unknown, path = ''): string {
  if (typeof body !== 'object' || body === null || typeof data !== 'object' || data === null)
    return isDeepStrictEqual(body, data) ? '' : path;
  const kept = data as Record<string, unknown>;
  return Object.entries(body)
    .map(([key, value]) => (Object.hasOwn(kept, key) ? unnamed(value, kept[key], `${path}.${key}`) : `${path}.${key}`))
    .filter((found) => found !== '')
    .slice(0, 5)
    .join(', ');
}
