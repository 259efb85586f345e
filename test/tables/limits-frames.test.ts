/** Limits of frames and values: at the limit it goes well, one beyond it does not. */
import { expect, test } from 'vitest';
import { registrationSchema } from '../../src/protocol/collector-schema.ts';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { limitTable } from '../../src/protocol/limits.ts';
import { encodeValue } from '../../src/protocol/msgpack.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { harness } from '../broker/harness.ts';
import { speak } from './spoken.ts';

const socket = { socket: true };

/** A frame of exactly `bytes` bytes, by padding the text that `make` puts into it. */
function frameOf(bytes: number, make: (text: string) => unknown[]): Buffer {
  const around = encodeFrame(make('x'.repeat(bytes / 2))).length - 4 - bytes / 2;
  const frame = encodeFrame(make('x'.repeat(bytes - around)));
  expect(frame.length - 4).toBe(bytes);
  return frame;
}

test('frameBytesMax', async () => {
  await using broker = await harness({ frameBytesMax: 2000 }, socket);
  const raw = broker.raw().hello();
  expect((await raw.welcome()).limits.frame_bytes_max).toBe(2000);
  raw.write(frameOf(2000, (text) => [Kind.publishConfirmed, 1, 'a', text]));
  expect(await raw.kind(Kind.ack)).toEqual([Kind.ack, 1, 0]);
  raw.write(frameOf(2001, (text) => [Kind.publishConfirmed, 2, 'a', text]));
  expect((await raw.goodbye()).code).toBe('frame_too_large');
  speak('frameBytesMax');
});

test('helloBytesMax', async () => {
  await using broker = await harness({}, socket);
  const { value } = limitTable.helloBytesMax;
  const hello = (text: string) => [Kind.hello, { protocol: '1.0', name: 'x', unknown: text }];
  await broker.raw().write(frameOf(value, hello)).welcome();
  expect(
    (
      await broker
        .raw()
        .write(frameOf(value + 1, hello))
        .goodbye()
    ).code,
  ).toBe('frame_too_large');
  speak('helloBytesMax');
});

test('payloadBytesMax, of payloads and of results', async () => {
  await using broker = await harness({ payloadBytesMax: 1000 }, socket);
  const [raw, collector] = [await broker.session(), await broker.session('collector')];
  const [fits, over] = ['x'.repeat(997), 'x'.repeat(998)]; // and three bytes of header
  await collector.register('w');
  const { id } = await raw.request('task.submit', { operation: 'work', payload: fits });
  const { token } = (await collector.message()) as { token: string };
  const lease = { task_id: id, token };
  expect(await collector.refused('task.complete', { ...lease, result: over })).toMatchObject({
    code: 'payload_too_large',
  });
  await collector.request('task.complete', { ...lease, result: fits });
  expect(await raw.request('task.show', { id })).toMatchObject({ payload_bytes: 1000, result_bytes: 1000 });
  expect((await raw.refused('task.submit', { operation: 'work', payload: over })).context).toEqual({ limit: 1000 });
  const { outcomes } = await raw.request('task.submit_batch', { tasks: [{ operation: 'x', payload: over }] });
  expect(outcomes).toMatchObject([{ code: 'payload_too_large' }]);
  speak('payloadBytesMax');
});

test('registrationBytesMax: leases are not counted', async () => {
  const { length: least } = encodeValue({
    ...registrationSchema.parse({ collector_id: 'w', collector_type: 't', operations: [{ name: 'work' }] }),
    metadata: { note: '' },
  });
  await using broker = await harness({ registrationBytesMax: least + 20 }, socket);
  const collector = await broker.session('collector');
  const metadata = (bytes: number) => ({ metadata: { note: 'x'.repeat(bytes) } });
  const leases = Array.from({ length: 100 }, () => ({ task_id: uuidv7(), token: 'x'.repeat(64) }));
  expect(
    await collector.refused('collector.register', {
      ...{ collector_id: 'w', collector_type: 't', operations: [{ name: 'work' }] },
      ...metadata(21),
    }),
  ).toMatchObject({
    code: 'invalid_params',
    message: expect.stringMatching(/beside its leases; the limit is/),
    context: { limit: least + 20 },
  });
  await collector.register('w', { ...metadata(20), leases });
  speak('registrationBytesMax');
});

test('decodeDepthMax', async () => {
  await using broker = await harness({}, socket);
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
  const raw = await broker.session();
  const { value } = limitTable.decodeDepthMax;
  await raw.request('task.submit', { operation: 'a', payload: nested(value - 1) }); // the params are a level
  raw.ask('task.submit', { operation: 'a', payload: nested(value) });
  expect(await raw.goodbye()).toMatchObject({ code: 'malformed_frame', message: expect.stringMatching(/deeper/) });
  speak('decodeDepthMax');
});

test('topicBytesMax', async () => {
  await using broker = await harness({}, socket);
  const raw = await broker.session();
  const { value } = limitTable.topicBytesMax;
  await raw.request('topic.subscribe', { patterns: ['t'.repeat(value)] });
  expect((await raw.refused('topic.subscribe', { patterns: ['t'.repeat(value + 1)] })).code).toBe('bad_pattern');
  raw.send(Kind.publishConfirmed, 1, 't'.repeat(value), 1);
  expect(await raw.kind(Kind.ack)).toEqual([Kind.ack, 1, 1]);
  raw.send(Kind.publishConfirmed, 2, 't'.repeat(value + 1), 1);
  expect((await raw.goodbye()).code).toBe('malformed_frame'); // its place in the frame has one byte for the length
  speak('topicBytesMax');
});

test('topicSegmentsMax', async () => {
  await using broker = await harness({}, socket);
  const raw = await broker.session();
  const eight = 'a.b.c.d.e.f.g.h';
  await raw.request('topic.subscribe', { patterns: [eight, `${eight}.#`] });
  expect((await raw.refused('topic.subscribe', { patterns: [`${eight}.*`] })).code).toBe('bad_pattern');
  raw.send(Kind.publishConfirmed, 1, eight, 1).send(Kind.publishConfirmed, 2, `${eight}.i`, 1);
  expect(await raw.kind(Kind.ack)).toEqual([Kind.ack, 1, 1]);
  expect((await raw.kind(Kind.ack)).slice(1)).toMatchObject([2, 0, { code: 'bad_topic' }]);
  speak('topicSegmentsMax');
});
