/** Brings the model its events: one subscription, and the state of the connection. */
import type { Client } from '../client/client.ts';
import { type Snapshot, statusTopic } from '../protocol/view-schema.ts';
import { initialState, reduce, type TopEvent, type TopState } from './model.ts';

export class TopFeed {
  #state: TopState;
  readonly #listeners = new Set<() => void>();

  constructor(socketFlag = '') {
    this.#state = { ...initialState, socketFlag };
  }

  readonly current = (): TopState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly send = (event: TopEvent): void => {
    this.#state = reduce(this.#state, event);
    for (const listener of this.#listeners) listener();
  };

  /** Follows the broker until the client is closed. The first snapshot is requested, so that nothing waits for a publish. */
  async follow(client: Client): Promise<void> {
    client.onState((state, why) => this.send({ kind: 'connection', state, why: why?.message ?? '' }));
    const messages = await client.subscribe(statusTopic);
    this.send({ kind: 'snapshot', snapshot: await client.request('broker.snapshot', {}), atMs: performance.now() });
    for await (const { body } of messages)
      this.send({ kind: 'snapshot', snapshot: body as Snapshot, atMs: performance.now() });
  }
}
