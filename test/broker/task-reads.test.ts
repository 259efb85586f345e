import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { realClock } from '../../src/time/clock.ts';
import { transportPair } from '../../src/transport/pair.ts';
import { Raw } from './harness.ts';

/** A store whose details come when they are let go. */
class HeldStore extends MemoryStore {
  letGo = (): void => {};
  readonly #gone = new Promise<void>((resolve) => {
    this.letGo = resolve;
  });

  override async show(id: string): ReturnType<MemoryStore['show']> {
    await this.#gone;
    return super.show(id);
  }
}

test('a wait for a task that is submitted while it is looked up is not answered with one that goes on', async () => {
  using clock = realClock();
  const store = new HeldStore();
  const broker = await Broker.create({
    limits: defaultLimits,
    store,
    clock,
    version: '0',
    log: pino({ level: 'silent' }),
    place: { socket: 'none', store: 'memory' },
    fatal: (error) => {
      throw error;
    },
  });
  const raw = new Raw(transport(broker)).hello();
  const id = '01a31800-0000-7000-8000-000000000001';
  raw.write(encodeFrame([Kind.request, 70_000, 'broker', 'task.wait', { id }, 0]));
  raw.write(encodeFrame([Kind.request, 70_001, 'broker', 'task.submit', { id, operation: 'a' }, 0]));
  expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, 70_001, 0, { state: 'pending' }]);
  store.letGo();
  expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, 70_000, 1, { code: 'not_found' }]);
  await broker.stop('immediate');
});

function transport(broker: Broker) {
  const [mine, theirs] = transportPair();
  broker.accept(theirs);
  return mine;
}
