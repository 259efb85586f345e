/** Somebody who does nothing wrong, beside somebody who does: afterwards nothing of theirs is lost or changed. */
import { expect } from 'vitest';
import type { FaultCode } from '../../src/protocol/fault.ts';
import { Kind } from '../../src/protocol/frame.ts';
import type { Harness } from '../broker/harness.ts';

export interface Bystander {
  /** They are connected, served and heard as before, and their task is as it was. */
  unharmed(): Promise<void>;
  /** The broker ends: they are told so by name, and of nothing else. */
  toldOf(code: FaultCode): Promise<void>;
  /** Their task is as it was under the broker that comes after. */
  outlives(next: Harness): Promise<void>;
}

export async function bystander(broker: Harness): Promise<Bystander> {
  const raw = await broker.session();
  await raw.request('topic.subscribe', { patterns: ['bystander.#'] });
  const { id } = await raw.request('task.submit', { operation: 'bystander', payload: 'mine' });
  // As every client does; until the connection ends.
  const answerPings = async () => {
    for (;;) raw.send(Kind.pong, (await raw.kind(Kind.ping))[1]);
  };
  answerPings().catch(() => {});
  let round = 0;
  return {
    async unharmed() {
      round++;
      raw.send(Kind.publish, 'bystander.topic', round);
      expect(await raw.message()).toBe(round);
      expect(await raw.request('task.show', { id, include: ['payload'] })).toMatchObject({
        state: 'pending',
        payload: 'mine',
      });
      expect(raw.closed).toBe(false);
    },
    async toldOf(code) {
      expect((await raw.goodbye()).code).toBe(code);
      expect(raw.frames).toEqual([]);
    },
    async outlives(next) {
      const again = await next.session();
      expect(await again.request('task.show', { id, include: ['payload'] })).toMatchObject({
        state: 'pending',
        attempt: 0,
        payload: 'mine',
      });
    },
  };
}
