/** Callers that wait for the end of a task. Found by their task, and by their session and request, in one step each. */
import { fault } from '../protocol/fault.ts';
import type { BodyName } from '../protocol/state.ts';
import type { Due } from '../time/deadlines.ts';
import type { Now } from '../time/now.ts';
import { type Input, type Output, type ReplyTo, reply } from './input.ts';
import type { CoreState } from './state.ts';

export interface Waiter extends Due {
  readonly due: 'waiter';
  readonly to: ReplyTo;
  readonly taskId: string;
  readonly include: readonly BodyName[];
}

export interface Waits {
  readonly byTask: Map<string, Set<Waiter>>;
  readonly bySession: Map<number, Map<number, Waiter>>;
  count: number;
}

export const newWaits = (): Waits => ({ byTask: new Map(), bySession: new Map(), count: 0 });

export function wait(state: CoreState, input: Extract<Input, { kind: 'wait' }>, now: Now, out: Output[]): void {
  const { to, id, include } = input;
  const { waits, limits } = state;
  if (!state.tasks.has(id)) {
    out.push({ kind: 'ended', to, id, include });
    return;
  }
  const own = waits.bySession.get(to.session);
  if (own?.has(to.id) === true) {
    out.push(reply(to, fault('invalid_params', `Request id ${to.id} is in use by a wait.`, { id: to.id })));
    return;
  }
  const isOwnLimit = own !== undefined && own.size >= limits.waitsMax;
  if (isOwnLimit || waits.count >= limits.waitsTotalMax) {
    const limit = isOwnLimit ? limits.waitsMax : limits.waitsTotalMax;
    const whose = isOwnLimit ? 'This session has' : 'All sessions together have';
    out.push(
      reply(to, fault('too_many_waits', `${whose} ${limit} waits open, the limit.`, { limit, retry_after_ms: 1000 })),
    );
    return;
  }
  const waiter: Waiter = { due: 'waiter', dueMs: 0, dueIndex: -1, to, taskId: id, include };
  const others = waits.byTask.get(id);
  if (others === undefined) waits.byTask.set(id, new Set([waiter]));
  else others.add(waiter);
  if (own === undefined) waits.bySession.set(to.session, new Map([[to.id, waiter]]));
  else own.set(to.id, waiter);
  waits.count++;
  state.deadlines.set(waiter, now.monotonicMs + Math.min(input.timeoutMs, limits.waitMsMax));
}

export function waitDue(state: CoreState, waiter: Waiter, out: Output[]): void {
  removeWaiter(state, waiter);
  const { state: now } = state.tasks.get(waiter.taskId)!.life;
  const message = `Task ${waiter.taskId} is still ${now}. It goes on; wait again, or look with: deye task show ${waiter.taskId}`;
  out.push(reply(waiter.to, fault('deadline_exceeded', message, { state: now })));
}

/** The caller cancelled the request; the wait, if there is one, is answered with `cancelled`. */
export function cancelWait(state: CoreState, to: ReplyTo, out: Output[]): void {
  const waiter = state.waits.bySession.get(to.session)?.get(to.id);
  if (waiter === undefined) return;
  removeWaiter(state, waiter);
  out.push(reply(to, fault('cancelled', `The wait for task ${waiter.taskId} was cancelled.`)));
}

/** The task has ended: every wait for it is answered. */
export function answerWaits(state: CoreState, taskId: string, out: Output[]): void {
  const waiters = state.waits.byTask.get(taskId);
  if (waiters === undefined) return;
  for (const waiter of waiters) {
    removeWaiter(state, waiter);
    out.push({ kind: 'ended', to: waiter.to, id: taskId, include: waiter.include });
  }
}

export function dropWaits(state: CoreState, session: number): void {
  for (const waiter of state.waits.bySession.get(session)?.values() ?? []) removeWaiter(state, waiter);
}

function removeWaiter(state: CoreState, waiter: Waiter): void {
  const { waits } = state;
  state.deadlines.delete(waiter);
  waits.count--;
  const ofTask = waits.byTask.get(waiter.taskId);
  ofTask?.delete(waiter);
  if (ofTask?.size === 0) waits.byTask.delete(waiter.taskId);
  const ofSession = waits.bySession.get(waiter.to.session);
  ofSession?.delete(waiter.to.id);
  if (ofSession?.size === 0) waits.bySession.delete(waiter.to.session);
}
