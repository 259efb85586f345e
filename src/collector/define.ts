/** What a collector is, as its author writes it. `run.ts` brings it to life. */
import type { CallOptions } from '../client/client.ts';
import type { Assignment } from '../protocol/message.ts';
import type { Health } from '../protocol/schema.ts';
import { type RunOptions, run } from './run.ts';

export interface Task {
  readonly id: string;
  readonly operation: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly payload: unknown;
  readonly priority: number;
  readonly metadata: Assignment['metadata'];
  readonly correlation: Assignment['correlation'];
}

export interface TaskContext {
  /** Aborted when the attempt is no longer wanted: timed out, cancelled, lease lost, or the collector stops hard. */
  readonly signal: AbortSignal;
  /** Publishes an event; its domain must be among `eventDomains`. False when there is no connection now. */
  publish(topic: string, body: unknown): boolean;
  /** Calls another collector or the broker. */
  call(target: string, method: string, params?: unknown, options?: CallOptions): Promise<unknown>;
}

/** Returns the result (a plain value), or throws: an ordinary error is retried with backoff. */
export type TaskHandler = (task: Task, context: TaskContext) => unknown;

export interface CollectorDefinition {
  readonly type: string;
  /** Default: DEYE_COLLECTOR_ID, else the type and the pid. */
  readonly id?: string;
  readonly version?: string;
  readonly operations: Readonly<Record<string, TaskHandler>>;
  /** Flags a task may require, such as `process` or `system_wide`, or names of your own. */
  readonly capabilities?: readonly string[];
  /** Domains it publishes events in: `process` allows `events.process.…`. */
  readonly eventDomains?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly maxConcurrentTasks?: number;
  /** Priorities it accepts, as ranges. Default all. */
  readonly priorityLevels?: readonly (readonly [number, number])[];
  /** Called for start_collection and once at the beginning. */
  readonly start?: (
    overrides: Readonly<Record<string, unknown>>,
    context: Pick<TaskContext, 'publish'>,
  ) => void | Promise<void>;
  /** Called for stop_collection and once at the end. */
  readonly stop?: (reason: string) => void | Promise<void>;
  /** Adds to what health_check answers. */
  readonly health?: () => Partial<Pick<Health, 'status' | 'components' | 'metrics'>>;
  /** Names what it cannot see for want of privileges; it is then degraded. */
  readonly limitation?: () => string | undefined;
  /** Checks changes of its configuration and, unless `validateOnly`, applies them. Throw to refuse. */
  readonly configure?: (changes: Readonly<Record<string, unknown>>, validateOnly: boolean) => void | Promise<void>;
}

export interface Collector extends CollectorDefinition {
  /** Connects, registers and works until SIGTERM, a shutdown call, or `options.signal`; then drains and resolves. */
  run(options?: RunOptions): Promise<void>;
}

export function defineCollector(definition: CollectorDefinition): Collector {
  return { ...definition, run: (options = {}) => run(definition, options) };
}

/** Thrown by a handler: do not try this task again; it goes to the dead letters. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError';
}

/** Thrown by a handler: try again after this time, instead of the task's backoff. */
export class RetryAfterError extends Error {
  override readonly name = 'RetryAfterError';
  readonly afterMs: number;

  constructor(afterMs: number, message: string) {
    super(message);
    this.afterMs = afterMs;
  }
}

/** Thrown by a handler: another collector may be able to, this one is not. */
export class ExcludeMeError extends Error {
  override readonly name = 'ExcludeMeError';
}
