import { afterEach, expect, test, vi } from 'vitest';
import { connect } from '../../src/client/client.ts';
import { FakeBroker } from './fake-broker.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** How long it pauses before each attempt when the broker stays away, with the jitter at its longest. */
async function pauses(attempts: number, pauseMsMax?: () => number): Promise<number[]> {
  const broker = new FakeBroker();
  const client = await connect({
    transport: broker.transport,
    ...(pauseMsMax === undefined ? {} : { reconnectPauseMsMax: pauseMsMax }),
  });
  broker.away = true;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  vi.spyOn(Math, 'random').mockReturnValue(1);
  const lost = new Promise<void>((resolve) => client.onState(() => resolve()));
  broker.connections[0]!.stream.destroy();
  await lost;
  const found: number[] = [];
  while (broker.dials <= attempts) {
    const before = broker.dials;
    let ms = 0;
    for (; broker.dials === before; ms += 50) await vi.advanceTimersByTimeAsync(50);
    found.push(ms);
  }
  await client.close();
  return found;
}

test('the pauses double from 100 ms up to 30 s', async () => {
  expect(await pauses(10)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
});

test('a program may choose shorter ones, pause by pause', async () => {
  let calls = 0;
  expect(await pauses(8, () => (++calls > 6 ? 30_000 : 1000))).toEqual([100, 200, 400, 800, 1000, 1000, 6400, 12_800]);
});
