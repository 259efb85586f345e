/**
 * The attempts that a collector works on. Each is known by task and token until its answer is with the broker or it is
 * dropped; what was dropped is aborted and hands in nothing. Two attempts of one task may overlap: the first has lost
 * its lease, and its handler has not noticed yet.
 */
import type { Client } from '../client/client.ts';
import { isDeparture } from '../client/error.ts';
import type { Assignment, AttemptCancel } from '../protocol/assignment.ts';
import { FaultError } from '../protocol/fault.ts';
import type { Lease } from '../protocol/schema.ts';
import type { TaskContext, TaskHandler } from './define.ts';
import { ExcludeMeError, failureOf } from './error.ts';

interface RunningAttempt {
  readonly lease: Lease;
  readonly controller: AbortController;
}

const handInPauseMs = 250;

export class RunningAttempts {
  completed = 0;
  failed = 0;
  readonly #operations: Readonly<Record<string, TaskHandler>>;
  readonly #context: Omit<TaskContext, 'signal'>;
  readonly #running = new Map<string, RunningAttempt>();
  readonly #idle: (() => void)[] = [];

  constructor(operations: Readonly<Record<string, TaskHandler>>, context: Omit<TaskContext, 'signal'>) {
    this.#operations = operations;
    this.#context = context;
  }

  get size(): number {
    return this.#running.size;
  }

  get leases(): Lease[] {
    return [...this.#running.values()].map(({ lease }) => lease);
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    return this.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  async run(assignment: Assignment, client: Pick<Client, 'request' | 'state'>): Promise<void> {
    const { task_id, token } = assignment;
    const attempt: RunningAttempt = { lease: { task_id, token }, controller: new AbortController() };
    if (this.#running.has(keyOf(attempt.lease))) return;
    this.#running.set(keyOf(attempt.lease), attempt);
    try {
      const result = (await this.#handle(assignment, attempt.controller.signal)) ?? null;
      await this.#handIn(attempt, client, () => client.request('task.complete', { task_id, token, result }));
      this.completed++;
    } catch (error) {
      this.failed++;
      const failure = { task_id, token, ...failureOf(error) };
      // When this is not accepted either, the lease runs out and the broker goes on from there.
      await this.#handIn(attempt, client, () => client.request('task.fail', failure)).catch(() => {});
    }
    this.#remove(attempt);
  }

  /** Asks the handler to end; its answer is still handed in. */
  cancel({ task_id, token, reason }: AttemptCancel): void {
    this.#running.get(keyOf({ task_id, token }))?.controller.abort(new Error(reason));
  }

  /** Drops those whose leases are lost. */
  drop(leases: readonly Lease[], why: string): void {
    for (const lease of leases) {
      const attempt = this.#running.get(keyOf(lease));
      if (attempt === undefined) continue;
      this.#remove(attempt);
      attempt.controller.abort(new Error(why));
    }
  }

  dropAll(why: string): void {
    this.drop(this.leases, why);
  }

  async #handle(assignment: Assignment, signal: AbortSignal): Promise<unknown> {
    const { task_id: id, operation, attempt, payload, priority, metadata, correlation } = assignment;
    const handler = Object.hasOwn(this.#operations, operation) ? this.#operations[operation] : undefined;
    if (handler === undefined) throw new ExcludeMeError(`This collector has no operation ${operation}.`);
    return handler({ id, operation, attempt, payload, priority, metadata, correlation }, { ...this.#context, signal });
  }

  /** Sends the answer until the broker has it, over reconnects too. A stale lease is an answer: the attempt was lost. */
  async #handIn(attempt: RunningAttempt, client: Pick<Client, 'state'>, send: () => Promise<unknown>): Promise<void> {
    while (this.#running.get(keyOf(attempt.lease)) === attempt) {
      try {
        await send();
        return;
      } catch (error) {
        if (error instanceof FaultError && (error.code === 'stale_lease' || error.code === 'not_registered')) return;
        const again = isDeparture(error) || (error instanceof FaultError && error.retry);
        if (!again || client.state === 'closed') throw error;
        await new Promise((resolve) => setTimeout(resolve, handInPauseMs));
      }
    }
  }

  #remove(attempt: RunningAttempt): void {
    const key = keyOf(attempt.lease);
    if (this.#running.get(key) !== attempt) return;
    this.#running.delete(key);
    if (this.#running.size === 0) for (const idle of this.#idle.splice(0)) idle();
  }
}

export const keyOf = ({ task_id, token }: Lease): string => `${task_id} ${token}`;
