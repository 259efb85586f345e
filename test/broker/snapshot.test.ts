import { expect, test } from 'vitest';
import { allCollectors } from '../../src/cli/collector-pages.ts';
import { registrationSchema } from '../../src/protocol/collector-schema.ts';
import { Kind } from '../../src/protocol/frame.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { encodeValue } from '../../src/protocol/msgpack.ts';
import { harness } from './harness.ts';
import { VirtualClock } from './virtual-clock.ts';

test('a snapshot fits a frame whatever collectors say of themselves, and says how many there are', async () => {
  await using broker = await harness({
    frameBytesMax: 1 << 20,
    payloadBytesMax: 1000,
    registrationBytesMax: 1 << 18,
    snapshotRowsMax: 10,
  });
  const full = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`k${at}`, 'x'.repeat(1000)]));
  for (let at = 0; at < 20; at++) {
    const raw = broker.raw().hello('collector');
    const operations = Array.from({ length: 256 }, (_, op) => ({ name: `operation-${at}-${op}-${'y'.repeat(40)}` }));
    const registration = { collector_id: `c${at}`, collector_type: 't', operations, labels: full, metadata: full };
    raw.send(Kind.request, 70_000, 'broker', 'collector.register', registration, 0);
    expect((await raw.kind(Kind.reply))[2]).toBe(0);
  }
  const client = await broker.client('c');
  const statuses = await client.subscribe('control.health.status');
  const { collectors, collector_count } = await client.request('broker.snapshot', {});
  expect([collectors.length, collector_count]).toEqual([10, 20]);
  expect((await statuses.next()).value?.body).toMatchObject({ collector_count: 20 });
  expect(client.state).toBe('connected');
  await expect(client.request('collector.list', {})).rejects.toMatchObject({ code: 'reply_too_large' });
  expect((await client.request('collector.show', { collector_id: 'c3' })).metadata).toEqual(full);
});

test('the largest registrations, however many, are listed page by page in frames of the default size', async () => {
  await using broker = await harness({ outboundBytesMax: 1 << 26 });
  const metadata = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`k${at}`, 'x'.repeat(1012)]));
  const count = 250;
  for (let at = 0; at < count; at++) {
    const about = { collector_id: `c${at}`, collector_type: 't', operations: [{ name: 'work' }], metadata };
    const room = defaultLimits.registrationBytesMax - encodeValue(registrationSchema.parse(about)).length;
    expect(room).toBeLessThan(200);
    await (await broker.session('collector')).request('collector.register', about);
  }
  const client = await broker.client('c');
  const first = await client.request('collector.list', {});
  expect([first.collectors.length, first.cursor]).toEqual([200, first.collectors.at(-1)!.collector_id]);
  const names = (await allCollectors(client)).map(({ collector_id }) => collector_id);
  expect(names).toEqual(Array.from({ length: count }, (_, at) => `c${at}`).sort());
});

test.each([-3_600_000, 0, 3_600_000])(
  'uptime is whole, and none of the %i ms by which the wall clock was set',
  async (byMs) => {
    const clock = new VirtualClock();
    await using broker = await harness({}, { clock });
    const raw = await broker.session();
    await clock.advance(12_345);
    clock.setWall(byMs);
    expect((await raw.request('broker.health', {})).uptime_seconds).toBe(12);
    expect((await raw.request('broker.snapshot', {})).broker.uptime_ms).toBe(12_345);
  },
);
