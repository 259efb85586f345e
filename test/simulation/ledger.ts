/**
 * The books of a life: what clients meant, what the broker promised, and what it may say. Whatever the broker writes is
 * held against the disk at the moment it is written.
 */
import assert from 'node:assert/strict';
import { z } from 'zod';
import { callFaults, commonFaults, type FaultCode, faultTable } from '../../src/protocol/fault.ts';
import { Kind } from '../../src/protocol/frame.ts';
import { type Method, methodTable } from '../../src/protocol/message.ts';
import { isEnded, type TaskState } from '../../src/protocol/state.ts';
import type { DurableLedger } from './durable.ts';
import { RelayLedger } from './relay-ledger.ts';
import { type Fields, fieldsOf, listOf, type Request } from './request.ts';
import type { Elements, Wire } from './wire.ts';

const replySchemas = Object.fromEntries(
  Object.entries(methodTable).map(([name, { reply }]) => [name, z.compile(reply as z.ZodType)]),
);
/** The mark of an answer that its callee gave to the wrong call. */
export const lie = -1;
/** One in so many replies is held against its schema. */
const parseEvery = 7;

export class Ledger {
  /** What was ever submitted, by id. */
  readonly intended = new Map<string, Fields>();
  /** What the broker said it has. */
  readonly accepted = new Set<string>();
  readonly relay = new RelayLedger();
  /** Ids of tasks that were made. */
  ids = 0;
  /** What the process that runs had submitted before it. */
  submittedBefore = 0;
  replies = 0;
  readonly #durable: DurableLedger;

  constructor(durable: DurableLedger) {
    this.#durable = durable;
  }

  /** I1 and I2, whenever there is nothing under way. */
  balance(): void {
    const { tasks, purged } = this.#durable;
    for (const id of this.accepted)
      assert(tasks.has(id) || purged.has(id), `I1: task ${id} was accepted and did not survive`);
    for (const [id, { spec }] of tasks) {
      const meant = this.intended.get(id);
      assert(meant !== undefined, `I2: task ${id} was never submitted`);
      assert.equal(spec.operation, meant.operation, `I2: task ${id} is another than was submitted`);
    }
  }

  /** The broker writes a frame to a client. */
  sent(wire: Wire, kind: number, elements: Elements): void {
    const [first, second, third] = elements;
    switch (kind) {
      case Kind.reply:
        return this.#reply(wire, Number(first), second === 0, third);
      case Kind.chunk: {
        const request = wire.requests.get(Number(first));
        assert(request !== undefined && !request.isReplied, `${wire.name} gets a part of no answer`);
        const { mark, part } = fieldsOf(second);
        assert.deepEqual({ mark, part }, { mark: request.mark, part: request.chunks++ }, 'a part of another answer');
        return;
      }
      case Kind.publish:
        return this.#published(String(first), fieldsOf(second));
      case Kind.goodbye: {
        const { code } = fieldsOf(first);
        wire.goodbye = String(code);
        assert(faultTable[wire.goodbye as FaultCode]?.closes, `a goodbye says ${wire.goodbye}`);
      }
    }
  }

  #published(topic: string, body: Fields): void {
    const id = String(body.task_id);
    if (topic.startsWith('tasks.lifecycle.'))
      assert(
        this.#durable.wasSeen(id, String(body.state), Number(body.attempt)),
        `${topic} shows ${id} at ${body.attempt}, which is not durable`,
      );
    else if (topic.startsWith('control.tasks.') && body.kind === 'assign') {
      const { token } = body;
      assert(this.#durable.wasToken(String(token)), `${id} is assigned as ${token}, which is not durable`);
    }
  }

  #reply(wire: Wire, id: number, ok: boolean, body: unknown): void {
    const request = wire.requests.get(id);
    assert(request !== undefined, `${wire.name} gets a reply to ${id}, which it did not ask`);
    assert(!request.isReplied, `${wire.name} gets two replies to ${id} ${request.method}`);
    request.isReplied = true;
    const fields = fieldsOf(body);
    if (request.target !== 'broker') return this.#called(request, ok, fields);
    const { method } = request;
    if (!Object.hasOwn(methodTable, method)) return assert.equal(fields.code, 'unsupported_operation');
    const row = methodTable[method as Method];
    if (!ok) {
      const code = fields.code as FaultCode;
      const allowed = ([...row.faults] as FaultCode[]).includes(code) || commonFaults.includes(code);
      assert(allowed, `${method} is refused with ${code}, which is not in its row`);
      return;
    }
    if (this.replies++ % parseEvery === 0) {
      const parsed = replySchemas[method]!.safeParse(body);
      assert(parsed.success, `the reply of ${method} does not fit: ${parsed.error?.message}`);
    }
    this.#result(method as Method, fieldsOf(request.params), fields);
  }

  #called({ target, method, mark }: Request, ok: boolean, fields: Fields): void {
    if (!ok) {
      const known = callFaults.includes(fields.code as FaultCode) || fields.code === 'sim';
      assert(known, `a call is refused with ${fields.code}`);
    } else if (method !== 'health_check' && fields.mark !== lie)
      assert.equal(fields.mark, mark, `the answer of ${target} to another call`);
  }

  #result(method: Method, params: Fields, result: Fields): void {
    switch (method) {
      case 'task.submit':
        return this.#submitted(params, result);
      case 'task.submit_batch': {
        const asked = listOf(params.tasks);
        const outcomes = listOf(result.outcomes);
        assert.equal(outcomes.length, asked.length, 'a batch has one outcome each');
        for (const [at, outcome] of outcomes.entries()) this.#submitted(asked[at]!, outcome);
        return;
      }
      case 'task.cancel':
        return this.#shown('task.cancel', { ...result, attempt: undefined });
      case 'task.complete': {
        const id = String(params.task_id);
        const task = this.#durable.tasks.get(id);
        const now = task === undefined ? this.#durable.purged.has(id) : task.now.state === 'completed';
        assert(now, `I4: the completion of ${id} was answered and is not durable`);
        if (task !== undefined) assert.equal(task.now.token, params.token, `I4: ${id} was completed by a stale answer`);
        return;
      }
      case 'task.fail':
        return this.#shown('task.fail', { id: params.task_id, state: result.state, attempt: undefined });
      case 'task.wait':
        assert(isEnded(result.state as TaskState), `a wait is answered while the task is ${result.state}`);
        return this.#shown('task.wait', result);
      case 'task.show':
        return this.#shown('task.show', result);
      case 'task.list':
        for (const task of listOf(result.tasks)) this.#shown('task.list', task);
        return;
      case 'collector.show':
        for (const held of listOf(result.holds))
          this.#shown('collector.show', { id: held.task_id, state: 'in_progress', attempt: held.attempt });
        return;
      case 'broker.snapshot': {
        const { submitted } = fieldsOf(result.totals);
        const durable = this.#durable.submitted - this.submittedBefore;
        assert(Number(submitted) <= durable, `a snapshot shows ${submitted} tasks where ${durable} are durable`);
        return;
      }
      case 'collector.register':
        return subset(listOf(result.reclaimed), listOf(params.leases), 'reclaimed');
      case 'collector.heartbeat':
        return subset(listOf(result.lost), listOf(params.leases), 'lost');
      case 'routing.set': {
        const key = params.operation === undefined ? 'routing.strategy' : `routing.strategy.${params.operation}`;
        assert(this.#durable.keysSet.has(key), `the setting ${key} was answered and is not durable`);
      }
    }
  }

  #submitted(asked: Fields, outcome: Fields): void {
    if (asked.malformed === true) return assert.equal(outcome.code, 'invalid_params', 'a malformed task is accepted');
    if ('code' in outcome) return assert.notEqual(outcome.code, 'invalid_params', `${asked.id} is well formed`);
    const id = String(outcome.id);
    assert.equal(id, asked.id, 'the outcome of another task');
    this.accepted.add(id);
    const attempt = outcome.duplicate === true ? undefined : outcome.state === 'pending' ? 0 : 1;
    this.#shown('task.submit', { id, state: outcome.state, attempt });
  }

  /** What is shown of a task was durable at some moment until now. */
  #shown(where: string, { id, state, attempt }: Fields): void {
    const seen = this.#durable.wasSeen(String(id), String(state), attempt === undefined ? undefined : Number(attempt));
    assert(seen, `${where} shows ${id} as ${state} ${attempt ?? ''}, which is not durable`);
  }
}

function subset(some: readonly Fields[], all: readonly Fields[], what: string): void {
  for (const { task_id, token } of some)
    assert(
      all.some((lease) => lease.task_id === task_id && lease.token === token),
      `I4: ${what} names a lease on ${task_id} that was not sent`,
    );
}
