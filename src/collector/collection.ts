/**
 * Whether a collector collects: its start within a time, its stop, and its configuration, which both depend on. They run one
 * at a time, in the order of the calls.
 */
import { timerMsMax } from '../client/timer.ts';
import { FaultError, fault } from '../protocol/fault.ts';
import { CollectorConfiguration } from './configuration.ts';
import type { CollectorDefinition, ConfigurationValues, TaskContext } from './define.ts';
import { type CollectorParams, type CollectorReply, invalidParams, problemsOf } from './params.ts';

interface CollectionHost {
  readonly publish: TaskContext['publish'];
  /** The state changed. */
  stateChanged(): Promise<void>;
  configurationChanged(version: number, fields: readonly string[]): void;
}

export class Collection {
  state: 'collecting' | 'stopped' = 'stopped';
  readonly #definition: CollectorDefinition;
  readonly #host: CollectionHost;
  readonly #configuration: CollectorConfiguration;
  #turn: Promise<unknown> = Promise.resolve();
  /** Counts the starts, so that one that ends late can see whether it was the latest. */
  #starts = 0;

  constructor(definition: CollectorDefinition, host: CollectionHost) {
    this.#definition = definition;
    this.#host = host;
    this.#configuration = new CollectorConfiguration(definition, (...change) => host.configurationChanged(...change));
  }

  /** Rejects with `deadline_exceeded` when it takes longer than `timeoutMs`; it is then stopped again. */
  start(overrides: ConfigurationValues, timeoutMs?: number): Promise<void> {
    return this.#inTurn(async () => {
      await this.#configuration.track(overrides, () => this.#begin(overrides, timeoutMs));
      this.state = 'collecting';
      await this.#host.stateChanged();
    });
  }

  stop(reason: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#definition.stop?.(reason);
      this.state = 'stopped';
      await this.#host.stateChanged();
    });
  }

  update(params: CollectorParams<'update_config'>): Promise<CollectorReply<'update_config'>> {
    return this.#inTurn(() => this.#configuration.update(params));
  }

  async #begin(overrides: ConfigurationValues, timeoutMs: number | undefined): Promise<void> {
    const start = ++this.#starts;
    const controller = new AbortController();
    const { publish } = this.#host;
    const starting = (async () => this.#definition.start?.(overrides, { publish, signal: controller.signal }))();
    const late = Promise.withResolvers<never>();
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => late.reject(tooLate(timeoutMs)), Math.min(timeoutMs, timerMsMax));
    try {
      await Promise.race([starting, late.promise]);
    } catch (error) {
      const timedOut = error instanceof FaultError && error.code === 'deadline_exceeded';
      controller.abort(error);
      if (timedOut)
        void starting.then(
          () => (start === this.#starts ? this.#undo() : undefined),
          () => {}, // it failed late, after it was stopped
        );
      if (timedOut || this.state === 'stopped') await this.#undo();
      throw problemsOf(error) === undefined ? error : invalidParams('start_collection', error, {});
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops what a failed start may have left running. */
  async #undo(): Promise<void> {
    if (this.state === 'collecting') {
      this.state = 'stopped';
      await this.#host.stateChanged();
    }
    try {
      await this.#definition.stop?.('the start failed');
    } catch {
      // the caller gets the error of the start
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

const tooLate = (timeoutMs: number): FaultError =>
  new FaultError(
    fault('deadline_exceeded', `The collection did not start within ${timeoutMs} ms and is stopped again.`),
  );
