/** Tasks coming in, and being called off while they wait. */
import { type Fault, fault, isFault } from '../protocol/fault.ts';
import type { Submitted } from '../protocol/schema.ts';
import { isEnded } from '../protocol/state.ts';
import { uuidTimeMs } from '../protocol/uuid-time.ts';
import type { Heap } from '../time/heap.ts';
import type { Now } from '../time/now.ts';
import { finish } from './attempt.ts';
import { dispatch, queueTask } from './dispatch.ts';
import { whyStuck } from './explain.ts';
import { type Input, type Output, type ReplyTo, reply } from './input.ts';
import { countTask, operationsFull } from './operation.ts';
import type { Facts } from './prefetch.ts';
import { submittedTask } from './replay.ts';
import { type CoreState, countWritten, stepBytes } from './state.ts';
import { newTask, type Task, type TaskSpec } from './task.ts';
import { dequeue, tasksBefore } from './task-class.ts';

export function submit(
  state: CoreState,
  input: Extract<Input, { kind: 'submit' }>,
  now: Now,
  out: Output[],
  facts: Facts,
): void {
  const accepted = input.specs.map((spec) => (isFault(spec) ? spec : accept(state, spec, now, out, facts)));
  // Hand out first, so that the reply can name the collector.
  countWritten(state, out);
  dispatch(state, now, out, state.written + stepBytes);
  // From the last to the first: what was accepted later stands behind a task of the same priority.
  const behind = new Map<Heap<Task>, number>();
  const outcomes = accepted
    .toReversed()
    .map((one) => ('spec' in one ? describe(state, one, behind) : one))
    .toReversed();
  const first = outcomes[0]!;
  out.push(reply(input.to, input.batch ? { result: { outcomes } } : isFault(first) ? first : { result: first }));
}

export function cancel(state: CoreState, input: Extract<Input, { kind: 'cancel' }>, now: Now, out: Output[]): void {
  const { to, id } = input;
  const task = state.tasks.get(id);
  if (task === undefined) return refuseEnded(state, to, id, out);
  if (task.life.state === 'in_progress') {
    const message = `Task ${id} is in progress at ${task.life.collectorId}; only a waiting task can be cancelled.`;
    out.push(reply(to, fault('wrong_state', message, { state: 'in_progress' })));
    return;
  }
  countTask(state.operations, task, -1);
  if (task.life.state === 'pending') dequeue(state.classes, task);
  state.totals.cancelled++;
  const error = { code: 'cancelled', message: input.reason || 'cancelled by a caller' };
  finish(state, task, 'cancelled', { error }, now, out);
  out.push(reply(to, { result: { id, state: 'cancelled' } }));
}

function accept(state: CoreState, spec: TaskSpec, now: Now, out: Output[], facts: Facts): Task | Submitted | Fault {
  const { operations, limits } = state;
  const { id } = spec;
  const known = state.tasks.get(id)?.life.state ?? state.ended.states.get(id)?.state ?? facts.ended.get(id);
  if (known !== undefined) return { id, state: known, duplicate: true };
  if (state.stopping)
    return fault('broker_stopping', 'The broker is stopping and accepts no new tasks.', { retry_after_ms: 1000 });
  if (uuidTimeMs(id) < state.expiredBeforeMs) return idExpired(id, state.expiredBeforeMs, now);
  if (operations.waiting >= limits.pendingMax)
    return fault('queue_full', `${operations.waiting} tasks wait already; the limit is ${limits.pendingMax}.`, {
      retry_after_ms: 1000,
      limit: limits.pendingMax,
    });
  if (operations.waiting > 0 && operations.waitingBytes + spec.payload.length > limits.pendingBytesMax)
    return fault(
      'queue_full',
      `Payloads of ${operations.waitingBytes} bytes wait already; the limit is ${limits.pendingBytesMax}.`,
      { retry_after_ms: 1000, limit_bytes: limits.pendingBytesMax },
    );
  if (operationsFull(operations, spec.operation, limits))
    return fault('too_many_operations', `${limits.operationsMax} operations have tasks already, the limit.`, {
      retry_after_ms: 1000,
      limit: limits.operationsMax,
    });
  const task = newTask(submittedTask({ seq: state.nextSeq++, spec, submittedAtMs: now.wallMs }));
  state.tasks.set(id, task);
  state.totals.submitted++;
  queueTask(state, task);
  out.push(
    { kind: 'record', record: { kind: 'submitted', seq: task.seq, spec, submittedAtMs: task.submittedAtMs } },
    { kind: 'task_moved', spec, state: 'pending', attempt: 0, collectorId: undefined },
  );
  return task;
}

function idExpired(id: string, expiredBeforeMs: number, { wallMs }: Now): Fault {
  const idMs = uuidTimeMs(id);
  const seconds = (ms: number): number => Math.floor(ms / 1000);
  const when = idMs > wallMs ? "is ahead of the broker's clock" : `was made ${seconds(wallMs - idMs)} s ago`;
  const later = seconds(expiredBeforeMs - 1 - idMs);
  const message = `The id ${id} ${when}, and one made ${later} s later is of a task that was deleted: whether this one ran cannot be told.`;
  return fault('id_expired', message, { id, id_ms: idMs, expired_before_ms: expiredBeforeMs, broker_ms: wallMs });
}

function describe(state: CoreState, task: Task, behind: Map<Heap<Task>, number>): Submitted {
  const { id } = task.spec;
  if (task.life.state === 'in_progress')
    return { id, state: 'in_progress', collector_id: task.life.collectorId, duplicate: false };
  const queue = task.class!.pending.get(task.spec.priority)!;
  const later = behind.get(queue) ?? 0;
  behind.set(queue, later + 1);
  const position = tasksBefore(task.class!, task.spec.priority) - 1 - later;
  const warning = whyStuck(state, task);
  return { id, state: 'pending', position, duplicate: false, ...(warning === undefined ? {} : { warning }) };
}

function refuseEnded(state: CoreState, to: ReplyTo, id: string, out: Output[]): void {
  const ended = state.ended.states.get(id)?.state;
  out.push(
    reply(
      to,
      ended !== undefined && isEnded(ended)
        ? fault('wrong_state', `Task ${id} is already ${ended}.`, { state: ended })
        : fault('not_found', `No task ${id} is waiting or in progress. See: deye task ls`, { id }),
    ),
  );
}
