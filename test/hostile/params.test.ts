import { expect, test } from 'vitest';
import { encodeFrame, encodeFrameWith, Kind } from '../../src/protocol/frame.ts';
import { encodeMapWith, encodeValue, entriesOf } from '../../src/protocol/msgpack.ts';
import { harness } from '../broker/harness.ts';
import { speak } from '../tables/spoken.ts';

const million = 1_000_000;

/** A frame of [5, id, "broker", method, params]. */
const asking = (id: number, method: string, params: Buffer): Buffer =>
  encodeFrameWith([Kind.request, id, 'broker', method], params);

test('params with a million entries are refused before they are decoded, whoever sends them', async () => {
  await using broker = await harness();
  const labels = encodeMapWith({ operation: 'a' }, { labels: Buffer.from(encodeValue(bigMap())) });
  const lists = Buffer.concat([Buffer.from([0xdd, 0, 0x0f, 0x42, 0x40]), Buffer.alloc(million, 0x80)]);
  for (const [role, method, params] of [
    ['operator', 'task.submit', labels],
    ['observer', 'broker.health', lists],
    ['observer', 'broker.health', encodeValue(bigMap())],
  ] as const) {
    const raw = broker.raw().hello(role);
    raw.write(asking(70_000, method, params));
    const [, , status, fault] = await raw.kind(Kind.reply);
    expect([status, fault]).toMatchObject([1, { code: 'invalid_params', context: { limit: 32_768 } }]);
    raw.stream.destroy();
  }
  speak('paramsEntriesMax');
});

test('a payload of a million values is no params: it is taken as it is, in a batch as well', async () => {
  await using broker = await harness();
  const payload = Buffer.concat([Buffer.from([0xdd, 0, 0x0f, 0x42, 0x40]), Buffer.alloc(million, 0x07)]);
  const task = encodeMapWith({ operation: 'a' }, { payload });
  const raw = broker.raw().hello();
  raw.write(asking(70_000, 'task.submit', task));
  const [, , , one] = (await raw.kind(Kind.reply)) as [number, number, number, { id: string }];
  const tasks = Buffer.concat([Buffer.from([0x93]), task, encodeValue({ operation: 'b', payload: 1 }), encodeValue(7)]);
  raw.write(asking(70_001, 'task.submit_batch', encodeMapWith({}, { tasks })));
  const [, , , batch] = (await raw.kind(Kind.reply)) as [
    number,
    number,
    number,
    { outcomes: Record<string, unknown>[] },
  ];
  expect(batch.outcomes).toMatchObject([{ state: 'pending' }, { state: 'pending' }, { code: 'invalid_params' }]);
  const client = await broker.client('c');
  for (const id of [one.id, batch.outcomes[0]!.id as string])
    expect(await client.request('task.show', { id })).toMatchObject({ payload_bytes: payload.length });
  expect(
    (await client.request('task.show', { id: batch.outcomes[1]!.id as string, include: ['payload'] })).payload,
  ).toBe(1);
});

test('entries are counted over all depths, and no further than asked', () => {
  expect(entriesOf(encodeValue({ a: [1, 2, { b: 3 }], c: 'x'.repeat(100) }), 100)).toBe(6);
  expect(entriesOf(encodeValue([1, [2, 3]]), 100)).toBe(4);
  expect(entriesOf(encodeFrame([1]).subarray(4), 100)).toBe(1);
  expect(entriesOf(encodeValue(Array.from({ length: 1000 }, () => [])), 10)).toBe(1000);
});

function bigMap(): Record<string, number> {
  return Object.fromEntries(Array.from({ length: million }, (_, at) => [`k${at}`, 1]));
}
