/** What a collector is, as its author writes it. `run.ts` brings it to life. */
import type { CallOptions } from '../client/options.ts';
import type { Assignment } from '../protocol/assignment.ts';
import type { Health } from '../protocol/view-schema.ts';
import { type RunOptions, run } from './run.ts';

/** A task as its handler sees it. */
export interface AssignedTask {
  readonly id: string;
  readonly operation: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** An integer in it that a number cannot hold is a bigint. */
  readonly payload: unknown;
  readonly priority: number;
  readonly metadata: Assignment['metadata'];
  readonly correlation: Assignment['correlation'];
}

export interface TaskContext {
  /** Aborted when the attempt is no longer wanted: timed out, cancelled, lease lost, or the collector stops hard. */
  readonly signal: AbortSignal;
  /** Publishes an event; its domain must be among `eventDomains`. False when it could not be sent now. */
  publish(topic: string, body: unknown): boolean;
  /** Calls another collector or the broker. */
  call(target: string, method: string, params?: unknown, options?: CallOptions): Promise<unknown>;
}

export interface StartContext extends Pick<TaskContext, 'publish'> {
  /** Aborted when the start has taken longer than its time; the collection is then stopped again. */
  readonly signal: AbortSignal;
}

/** Fields and their plain values. */
export type ConfigurationValues = Readonly<Record<string, unknown>>;

/** Returns the result (a plain value), or throws: an ordinary error is retried with backoff. */
export type TaskHandler = (task: AssignedTask, context: TaskContext) => unknown;

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
  /** For the routing strategy `weighted`. Default 1. */
  readonly weight?: number;
  /** Priorities it accepts, as ranges. Default all. */
  readonly priorityLevels?: readonly (readonly [number, number])[];
  /** Called for start_collection and once at the beginning. */
  readonly start?: (overrides: ConfigurationValues, context: StartContext) => void | Promise<void>;
  /** Called for stop_collection and once at the end. May come twice, and while a start goes on that took too long. */
  readonly stop?: (reason: string) => void | Promise<void>;
  /** Adds to what health_check answers. */
  readonly health?: () => Partial<Pick<Health, 'status' | 'components' | 'metrics'>>;
  /** Names what it cannot see for want of privileges; it is then degraded. */
  readonly limitation?: () => string | undefined;
  /**
   * Checks changes of its configuration and, unless `validateOnly`, applies them. Throw to refuse. Called first to
   * check and then to apply; when applying fails, once more with every field as it was before.
   */
  readonly configure?: (changes: ConfigurationValues, validateOnly: boolean) => void | Promise<void>;
  /** The configuration in force, by which changed fields are found. Default: what it was given so far. */
  readonly configuration?: () => ConfigurationValues;
}

/** A collector that can be run. */
export interface CollectorProgram extends CollectorDefinition {
  /** Connects, registers and works until SIGTERM, a shutdown call, or `options.signal`; then drains and resolves. */
  run(options?: RunOptions): Promise<void>;
}

export function defineCollector(definition: CollectorDefinition): CollectorProgram {
  return { ...definition, run: (options = {}) => run(definition, options) };
}
