/**
 * The life of a client's connection.
 *
 *                 dial ──────────▶ connected ──lost──▶ reconnecting: pause ─▶ dial ─▶ restore ─▶ connected
 *                  │ failed                                          ▲         │ failed   │ failed
 *                  ▼                                                 └─────────┴──────────┘
 *               closed ◀── closed by its owner, or refused for good, from anywhere
 *
 * A pause is full jitter: a random part of 100 ms · 2^attempt, up to the cap. `restore` subscribes and registers
 * again; code that waits for the connection gets it only after that.
 */
import { FaultError } from '../protocol/fault.ts';
import type { Connection } from './connection.ts';
import { ConnectionLostError } from './error.ts';

export type ClientState = 'connected' | 'reconnecting' | 'closed';

type Step =
  | { readonly kind: 'dial' }
  | { readonly kind: 'pause'; readonly timer: NodeJS.Timeout }
  | { readonly kind: 'restore'; readonly connection: Connection };

type Life =
  | { readonly state: 'connected'; readonly connection: Connection }
  | {
      readonly state: 'reconnecting';
      readonly step: Step;
      /** Failed attempts since the connection was lost. */
      readonly failures: number;
      readonly back: PromiseWithResolvers<Connection>;
    }
  | { readonly state: 'closed'; readonly why: Error };

type Reconnecting = Extract<Life, { state: 'reconnecting' }>;

interface ReconnectHooks {
  /** False: a lost connection is the end. */
  readonly enabled: boolean;
  dial(): Promise<Connection>;
  /** Makes a new connection what the lost one was. Not called for the first. */
  restore(connection: Connection): Promise<void>;
  /** The longest pause, in ms; called before each. */
  pauseMsMax(): number;
  /** Called after each change of state. */
  changed(state: ClientState, why: Error | undefined): void;
}

const pauseBaseMs = 100;

export class ReconnectingConnection {
  readonly #hooks: ReconnectHooks;
  #life: Life = { state: 'reconnecting', step: { kind: 'dial' }, failures: 0, back: waiters() };

  constructor(hooks: ReconnectHooks) {
    this.#hooks = hooks;
  }

  get state(): ClientState {
    return this.#life.state;
  }

  get current(): Connection | undefined {
    return this.#life.state === 'connected' ? this.#life.connection : undefined;
  }

  /** The connection, as soon as there is one. Rejects once there will be none. */
  ready(): Promise<Connection> {
    const life = this.#life;
    if (life.state === 'connected') return Promise.resolve(life.connection);
    return life.state === 'closed' ? Promise.reject(life.why) : life.back.promise;
  }

  /** The first connection. Fails at once: the caller decides whether to try again. */
  async open(): Promise<void> {
    try {
      this.#connected(await this.#hooks.dial());
    } catch (error) {
      this.#close(error as Error, error as Error);
      throw error;
    }
  }

  /** An open connection ended. One that is being restored fails its attempt by itself. */
  lost(connection: Connection, why: Error): void {
    if (this.#life.state !== 'connected' || this.#life.connection !== connection) return;
    if (!this.#hooks.enabled) return this.#close(why, why);
    this.#pause(0, waiters());
    this.#hooks.changed('reconnecting', why);
  }

  /** Ends it within the grace of the connection. */
  async close(): Promise<void> {
    const life = this.#life;
    if (life.state === 'closed') return;
    this.#close(new ConnectionLostError('The client is closed.'), undefined);
    if (life.state === 'connected') return life.connection.close();
    if (life.step.kind === 'pause') clearTimeout(life.step.timer);
    if (life.step.kind === 'restore') life.step.connection.destroy();
  }

  #connected(connection: Connection): void {
    if (this.#life.state === 'closed') return connection.destroy();
    const before = this.#life;
    this.#life = { state: 'connected', connection };
    this.#hooks.changed('connected', undefined);
    if (before.state === 'reconnecting') before.back.resolve(connection);
    // It may have ended after its welcome, before it was handed out.
    if (connection.closed !== undefined) this.lost(connection, connection.closed);
  }

  #pause(failures: number, back: Reconnecting['back']): void {
    const pauseMs = Math.random() * Math.min(this.#hooks.pauseMsMax(), pauseBaseMs * 2 ** failures);
    const timer = setTimeout(() => void this.#attempt(failures, back), pauseMs);
    this.#life = { state: 'reconnecting', step: { kind: 'pause', timer }, failures, back };
  }

  async #attempt(failures: number, back: Reconnecting['back']): Promise<void> {
    let connection: Connection | undefined;
    try {
      this.#life = { state: 'reconnecting', step: { kind: 'dial' }, failures, back };
      connection = await this.#hooks.dial();
      if (this.state === 'closed') return connection.destroy();
      this.#life = { state: 'reconnecting', step: { kind: 'restore', connection }, failures, back };
      await this.#hooks.restore(connection);
      if (connection.closed !== undefined) throw connection.closed;
      this.#connected(connection);
    } catch (error) {
      connection?.destroy();
      if (this.state === 'closed') return;
      // Refused in a way that will not change, such as another protocol version.
      if (error instanceof FaultError && !error.retry) this.#close(error, error);
      else this.#pause(failures + 1, back);
    }
  }

  #close(why: Error, reported: Error | undefined): void {
    const life = this.#life;
    this.#life = { state: 'closed', why };
    if (life.state === 'reconnecting') life.back.reject(why);
    this.#hooks.changed('closed', reported);
  }
}

function waiters(): PromiseWithResolvers<Connection> {
  const back = Promise.withResolvers<Connection>();
  back.promise.catch(() => {}); // code that waits gets the reason; none has to wait
  return back;
}
