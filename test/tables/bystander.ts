/** Somebody who does nothing wrong, beside somebody who does: afterwards nothing of theirs is lost or changed. */
import { expect } from 'vitest';
import type { Harness } from '../broker/harness.ts';

export interface Bystander {
  /** They are connected, served and heard as before, and their task is as it was. */
  unharmed(): Promise<void>;
}

export async function bystander(broker: Harness): Promise<Bystander> {
  const raw = await broker.session();
  await raw.request('topic.subscribe', { patterns: ['bystander.#'] });
  const { id } = await raw.request('task.submit', { operation: 'bystander', payload: 'mine' });
  let round = 0;
  return {
    async unharmed() {
      round++;
      raw.send(2, 'bystander.topic', round);
      expect(await raw.message()).toBe(round);
      expect(await raw.request('task.show', { id, include: ['payload'] })).toMatchObject({
        state: 'pending',
        payload: 'mine',
      });
      expect(raw.closed).toBe(false);
    },
  };
}
