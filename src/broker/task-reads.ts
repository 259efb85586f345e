/**
 * Answers that show something: tasks from the store, and whatever the core shows between two inputs. A read of the store
 * begins when everything that the session asked for before it is durable, so it sees that, and maybe more. Every answer
 * goes through the turn, behind the replies that it could contradict, and through the session's read queue, so that large
 * ones come one at a time.
 */
import type { Logger } from 'pino';
import { present } from '../core/body.ts';
import { whyWaiting } from '../core/explain.ts';
import type { Input, Outcome, ReplyTo } from '../core/input.ts';
import type { CoreState } from '../core/state.ts';
import { fault } from '../protocol/fault.ts';
import type { ParamsParsed } from '../protocol/message.ts';
import { encodeMapWith } from '../protocol/msgpack.ts';
import type { TaskSummary } from '../protocol/schema.ts';
import { type BodyName, isEnded, statesOf } from '../protocol/state.ts';
import type { Store, StoredDetail } from '../store/port.ts';
import type { Now } from '../time/now.ts';
import type { Sessions } from './sessions.ts';
import { detailOf, summaryOf } from './task-view.ts';

interface TaskReadsOptions {
  readonly sessions: Sessions;
  readonly store: Store;
  readonly log: Logger;
  readonly enqueue: (input: Input) => void;
}

type Read = () => void | Promise<void>;
type CoreRead = Extract<Input, { kind: 'read' }>['read'];

export class TaskReads {
  readonly #options: TaskReadsOptions;
  /** Reads of the store that failed. */
  failures = 0;

  constructor(options: TaskReadsOptions) {
    this.#options = options;
  }

  /** Answers with what the core shows between two inputs. */
  fromCore(to: ReplyTo, read: CoreRead): void {
    this.#add(to, () => this.#answer(to, read));
  }

  /** Answers with one task, its bodies byte for byte as they came. */
  detail(to: ReplyTo, id: string, include: readonly BodyName[]): void {
    this.#add(
      to,
      this.#settled(
        to,
        this.#detail(to, id, include, () => true),
      ),
    );
  }

  /** As `detail`, for who waited: a task that was submitted only after the wait was looked at is none yet. */
  ended(to: ReplyTo, id: string, include: readonly BodyName[]): void {
    this.#add(
      to,
      this.#detail(to, id, include, ({ state }) => isEnded(state)),
    );
  }

  #detail(to: ReplyTo, id: string, include: readonly BodyName[], counts: (stored: StoredDetail) => boolean): Read {
    return async () => {
      const stored = await this.#options.store.show(id);
      this.#answer(to, (state, now) =>
        stored === undefined || !counts(stored)
          ? fault('not_found', `There is no task ${id}. See: deye task ls`, { id })
          : encodeDetail(state, now, stored, include),
      );
    };
  }

  list(to: ReplyTo, { operation, collector_id: collectorId, limit, cursor, state }: ParamsParsed<'task.list'>): void {
    const beforeSeq = cursor === undefined ? undefined : Number(cursor);
    const states = statesOf(state);
    const read = async (): Promise<void> => {
      if (beforeSeq !== undefined && !Number.isSafeInteger(beforeSeq)) {
        const message = `cursor ${JSON.stringify(cursor)} was not given by this broker.`;
        return this.#answer(to, () => fault('invalid_params', message));
      }
      const stored = await this.#options.store.list({ states, operation, collectorId, beforeSeq, limit });
      this.#answer(to, (core, now) => {
        const tasks = stored.map((one): TaskSummary => ({ ...summaryOf(one), ...waitOf(core, now, one.spec.id) }));
        const last = stored.at(-1);
        const next = stored.length === limit && last !== undefined ? { cursor: String(last.seq) } : {};
        return { result: { tasks, ...next } };
      });
    };
    this.#add(to, this.#settled(to, read));
  }

  #answer(to: ReplyTo, read: CoreRead): void {
    this.#options.enqueue({ kind: 'read', to, read });
  }

  /** The read, once the store shows all that the session asked for before. */
  #settled(to: ReplyTo, read: Read): () => void {
    return () => this.#options.enqueue({ kind: 'settle', to, run: () => this.#begin(to, read) });
  }

  #add(to: ReplyTo, begin: Read): void {
    this.#options.sessions.get(to.session)?.reads.add(to, () => this.#begin(to, begin));
  }

  #begin(to: ReplyTo, read: Read): void {
    const { sessions, log } = this.#options;
    const { session } = to;
    const failed = (error: Error): void => {
      this.failures++;
      log.error({ component: 'store', err: error }, 'tasks could not be read');
      sessions.get(session)?.reply(to, fault('store_failed', `The store could not be read: ${error.message}`));
    };
    void (async () => read())().catch(failed);
  }
}

function encodeDetail(state: CoreState, now: Now, stored: StoredDetail, include: readonly BodyName[]): Outcome {
  const { payload } = stored.spec;
  const bodies = {
    payload: include.includes('payload') && payload.length > 0 ? present(payload) : undefined,
    result: include.includes('result') ? stored.result : undefined,
  };
  return { encoded: encodeMapWith({ ...detailOf(stored), ...waitOf(state, now, stored.spec.id) }, bodies) };
}

/** What only the core knows of a waiting task: what it waits for, and until when on the wall clock as it is now. */
function waitOf(state: CoreState, now: Now, id: string): Pick<TaskSummary, 'waits_for' | 'ready_at_ms'> {
  const task = state.tasks.get(id);
  if (task === undefined) return {};
  if (task.life.state === 'retrying')
    return { ready_at_ms: Math.round(now.wallMs + Math.max(0, task.dueMs - now.monotonicMs)) };
  const reason = whyWaiting(state, task);
  return reason === undefined ? {} : { waits_for: reason };
}
