/** Bugs that the simulator must find: twelve that break an invariant, and thirteen that once survived every test. */
import { backoffOver } from '../../src/core/attempt.ts';
import type { Input, Output } from '../../src/core/input.ts';
import { isInProgress } from '../../src/core/lease.ts';
import { pendingOf } from '../../src/core/operation.ts';
import type { StoredTask, StoreRecord } from '../../src/core/record.ts';
import type { CoreState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import type { Task } from '../../src/core/task.ts';
import type { Now } from '../../src/time/now.ts';
import { over, type Plant } from './plant.ts';

type Step = typeof step;

/** The core with a bug in it. */
const core = (planted: Step): Plant => ({ step: () => planted });

const keeping = (keeps: (record: StoreRecord) => boolean): Plant => ({
  store: (store) => over(store, { commit: (records) => store.commit(records.filter(keeps)) }),
});

const recovering = (change: (task: StoredTask) => StoredTask): Plant => ({
  store: (store) =>
    over(store, {
      load: async (options) => {
        const loaded = await store.load(options);
        return { ...loaded, tasks: [...loaded.tasks].map(change) };
      },
    }),
});

/** Changes the delay of every backoff that the step has begun. */
const delaying = (delayOf: (delayMs: number, task: Task) => number): Plant =>
  core((state, input, now, out, facts) => {
    const first = out.length;
    step(state, input, now, out, facts);
    for (let at = first; at < out.length; at++) {
      const output = out[at]!;
      if (output.kind !== 'record' || output.record.kind !== 'moved' || output.record.state !== 'retrying') continue;
      if (input.kind === 'fail' && input.failure.retry_after_ms !== undefined) continue;
      const { record } = output;
      const task = [...state.tasks.values()].find(({ seq }) => seq === record.seq);
      if (task?.life.state !== 'retrying') continue;
      const delayMs = Math.round(delayOf(record.delayMs ?? 0, task));
      const readyAtMs = now.wallMs + delayMs;
      task.life = { state: 'retrying', readyAtMs, delayMs };
      state.deadlines.set(task, Math.max(now.monotonicMs + delayMs, now.monotonicMs + 0.001));
      out[at] = { kind: 'record', record: { ...record, readyAtMs, delayMs } };
    }
  });

const mostMs = ({ spec, attempt }: Task): number => spec.backoffBaseMs * 2 ** (attempt - 1);

const stepped = (state: CoreState, input: Input, now: Now, facts: Parameters<Step>[4]): Output[] => {
  const out: Output[] = [];
  step(state, input, now, out, facts);
  return out;
};

export const plants: Readonly<Record<string, Plant>> = {
  'a submit is acknowledged without being stored': keeping((record) => !('seq' in record) || record.seq % 7 !== 0),

  'a completion is acknowledged without being stored': keeping(
    (record) => !(record.kind === 'moved' && record.state === 'completed' && record.seq % 5 === 0),
  ),

  'a closed connection does not return its tasks': core((state, input, now, out, facts) =>
    step(state, input.kind === 'session_closed' ? { kind: 'tick' } : input, now, out, facts),
  ),

  'a stale answer is taken for the current attempt': core((state, input, now, out, facts) => {
    const task = input.kind === 'complete' ? state.tasks.get(input.taskId) : undefined;
    const collector = task?.life.state === 'in_progress' ? task.life.collector : undefined;
    if (input.kind !== 'complete' || task === undefined || collector === undefined)
      return step(state, input, now, out, facts);
    const forged = { ...input, token: task.token, to: { ...input.to, session: collector.session } };
    // The wrong answer is given to the one who asked.
    for (const output of stepped(state, forged, now, facts))
      out.push(output.kind === 'reply' && output.to === forged.to ? { ...output, to: input.to } : output);
  }),

  'a slot is not freed when a task ends': core((state, input, now, out, facts) => {
    const task = input.kind === 'complete' ? state.tasks.get(input.taskId) : undefined;
    const collector = task?.life.state === 'in_progress' ? task.life.collector : undefined;
    step(state, input, now, out, facts);
    if (task !== undefined && task.life.state === 'completed' && task.seq % 3 === 0)
      collector?.tasks.set(task.spec.id, task);
  }),

  'an attempt beyond the limit is handed out': core((state, input, now, out, facts) => {
    for (const task of state.tasks.values())
      if (task.life.state === 'in_progress' && task.attempt === task.spec.maxRetries + 1)
        Object.assign(task.spec, { maxRetries: task.spec.maxRetries + 1, allowed: task.spec.maxRetries });
    step(state, input, now, out, facts);
    for (const task of state.tasks.values())
      if ('allowed' in task.spec) Object.assign(task.spec, { maxRetries: task.spec.allowed });
  }),

  'a retry is forgotten': core((state, input, now, out, facts) => {
    step(state, input, now, out, facts);
    for (const task of state.tasks.values())
      if (task.life.state === 'retrying' && task.seq % 5 === 0) state.deadlines.delete(task);
  }),

  'the backoff never grows': delaying((delayMs, task) => {
    const { backoffBaseMs, backoffCapMs } = task.spec;
    const most = Math.min(mostMs(task), backoffCapMs);
    return most === 0 ? 0 : (delayMs * Math.min(backoffBaseMs, backoffCapMs)) / most;
  }),

  'the backoff ignores its cap': delaying((delayMs, task) => {
    const most = Math.min(mostMs(task), task.spec.backoffCapMs);
    return most === 0 ? 0 : (delayMs * mostMs(task)) / most;
  }),

  'outputs leave after a failed commit': {
    store: (store) => {
      let failed: Error | undefined;
      return over(store, {
        // The first failure is passed over, so that its outputs leave; the broker stops at the next.
        commit: (records) =>
          failed === undefined
            ? store.commit(records).catch((error: Error) => {
                failed = error;
              })
            : Promise.reject(failed),
      });
    },
  },

  'a purge leaves ids of its age new': core((state, input, now, out, facts) =>
    step(
      state,
      input.kind === 'expire' ? { ...input, expired: { ...input.expired, beforeMs: 0 } } : input,
      now,
      out,
      facts,
    ),
  ),

  'what expired is lost on recovery': keeping((record) => record.kind !== 'expired'),

  'the room of the store is asked for and ignored': {
    store: (store) =>
      Object.defineProperty(over(store, {}), 'room', {
        get: () => ({ ...store.room, bytes: Number.POSITIVE_INFINITY }),
      }),
  },

  'a task is in the wrong tier in every gauge': core((state, input, now, out, facts) => {
    step(state, input, now, out, facts);
    for (const operation of state.operations.byName.values()) {
      const pending = pendingOf(operation);
      let [high, low] = [0, 0];
      for (const cls of operation.classes)
        for (const level of cls.levels) {
          if (level > 200) high += cls.pending.get(level)!.size;
          else if (level < 100) low += cls.pending.get(level)!.size;
        }
      Object.assign(operation, { high, low, normal: pending - high - low });
    }
  }),

  'waits of a closed session leak': core((state, input, now, out, facts) => {
    const { bySession } = state.waits;
    const own = input.kind === 'session_closed' ? bySession.get(input.session) : undefined;
    if (input.kind === 'session_closed') bySession.delete(input.session);
    step(state, input, now, out, facts);
    if (input.kind === 'session_closed' && own !== undefined) bySession.set(input.session, own);
  }),

  'cancel_wait does nothing': core((state, input, now, out, facts) =>
    step(state, input.kind === 'cancel_wait' ? { kind: 'tick' } : input, now, out, facts),
  ),

  'excluded is lost on recovery': recovering((task) => ({ ...task, excluded: [] })),

  'ready_at is lost on recovery': recovering((task) => ({ ...task, readyAtMs: undefined })),

  'a reclaim ignores the token': core((state, input, now, out, facts) => {
    if (input.kind !== 'register') return step(state, input, now, out, facts);
    const leases = input.registration.leases.map((lease) => ({
      ...lease,
      token: state.tasks.get(lease.task_id)?.token || lease.token,
    }));
    step(state, { ...input, registration: { ...input.registration, leases } }, now, out, facts);
  }),

  'a reclaim ignores the collector': core((state, input, now, out, facts) => {
    if (input.kind === 'register')
      for (const { task_id, token } of input.registration.leases) {
        const task = state.tasks.get(task_id);
        if (task !== undefined && isInProgress(task) && task.token === token && task.life.collector === undefined)
          task.life = { ...task.life, collectorId: input.registration.collector_id };
      }
    step(state, input, now, out, facts);
  }),

  'collectorTasksMax is ignored': { limits: { collectorTasksMax: 1000 } },

  'pendingBytesMax is ignored': { limits: { pendingBytesMax: 1_000_000 } },

  'inboundBytesMax is ignored': { limits: { inboundBytesMax: 1_000_000 } },

  'the tie-break of least_loaded is turned round': core((state, input, now, out, facts) => {
    for (const collector of state.collectors.values()) collector.lastAssigned *= -1;
    const begun = new Map([...state.collectors.values()].map((collector) => [collector, collector.lastAssigned]));
    step(state, input, now, out, facts);
    for (const [collector, at] of begun) if (collector.lastAssigned === at) collector.lastAssigned *= -1;
  }),

  'an attempt that timed out is retried at once': core((state, input, now, out, facts) => {
    const timedOut = new Set<number>();
    for (const output of stepped(state, input, now, facts)) {
      const record = output.kind === 'record' ? output.record : undefined;
      if (record?.kind === 'attempt' && record.outcome === 'timed_out') timedOut.add(record.seq);
      const isBackoff = record?.kind === 'moved' && record.state === 'retrying' && timedOut.has(record.seq);
      if (!isBackoff) out.push(output);
    }
    for (const task of state.tasks.values())
      if (timedOut.has(task.seq) && task.life.state === 'retrying') {
        state.deadlines.delete(task);
        backoffOver(state, task, now, out);
      }
    if (timedOut.size > 0) step(state, { kind: 'tick' }, now, out);
  }),
};
