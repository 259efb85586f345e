/** Runs of publishes: adjacent frames of one topic, and of one shape. */
import { expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { harness } from '../broker/harness.ts';

/** A subscriber of `a.b`, and a publisher. */
async function scene() {
  const broker = await harness();
  const [subscriber, publisher] = [await broker.session(), await broker.session()];
  await subscriber.request('topic.subscribe', { patterns: ['a.b'] });
  return { broker, subscriber, publisher };
}

test('publishes of one topic with and without headers, in one chunk, arrive whole and in order', async () => {
  const { broker, subscriber, publisher } = await scene();
  await using _ = broker;
  const frames = [
    [Kind.publish, 'a.b', 1],
    [Kind.publish, 'a.b', 2, { 'content-type': 'x' }],
    [Kind.publish, 'a.b', 3, { 'content-type': 'y' }],
    [Kind.publish, 'a.b', 4],
  ];
  publisher.write(Buffer.concat(frames.map(encodeFrame)));
  for (const frame of frames) expect(await subscriber.kind(Kind.publish)).toEqual(frame);
});

test('a frame of another shape does not slip through behind a publish of the same topic', async () => {
  const { broker, subscriber, publisher } = await scene();
  await using _ = broker;
  const good = encodeFrame([Kind.publish, 'a.b', 1]);
  const wrong = encodeFrame([Kind.publish, 'a.b', 2, {}, 'one too many']);
  publisher.write(Buffer.concat([good, wrong]));
  expect((await publisher.goodbye()).code).toBe('malformed_frame');
  expect(await subscriber.message()).toBe(1);
  await subscriber.pong();
  expect(subscriber.frames).toEqual([]);
});

/** The frame with `more` inside it, after its array. */
const trailing = (frame: Buffer, more: number[] = [0]): Buffer => {
  const whole = Buffer.concat([frame, Buffer.from(more)]);
  whole.writeUInt32BE(whole.length - 4);
  return whole;
};

test.each<[string, unknown]>([
  ['a number', 1],
  ['a float', 1.5],
  ['a text', 'text'],
  ['a long text', 'x'.repeat(70_000)],
  ['bytes', Buffer.alloc(300)],
  ['nil', null],
  ['true', true],
])('what follows a body that is %s inside the frame ends the publisher', async (_what, body) => {
  for (const head of [[Kind.publish], [Kind.publishConfirmed, 1]]) {
    const { broker, subscriber, publisher } = await scene();
    await using _ = broker;
    publisher.write(trailing(encodeFrame([...head, 'a.b', body])));
    expect(await publisher.goodbye()).toMatchObject({
      code: 'malformed_frame',
      message: expect.stringMatching(/left over/),
    });
    await subscriber.pong();
    expect(subscriber.frames).toEqual([]);
  }
});

test('of a run, what came before the frame with bytes left over is delivered, and a body cut short is not', async () => {
  const good = encodeFrame([Kind.publish, 'a.b', 'text']);
  const cut = Buffer.from(good.subarray(0, -1));
  cut.writeUInt32BE(cut.length - 4);
  for (const wrong of [trailing(good), cut]) {
    const { broker, subscriber, publisher } = await scene();
    await using _ = broker;
    publisher.write(Buffer.concat([good, wrong, good]));
    expect((await publisher.goodbye()).code).toBe('malformed_frame');
    expect(await subscriber.message()).toBe('text');
    await subscriber.pong();
    expect(subscriber.frames).toEqual([]);
  }
});

test('headers that are declared have to be there', async () => {
  const { broker, publisher } = await scene();
  await using _ = broker;
  const frame = encodeFrame([Kind.publish, 'a.b', 'text']);
  frame[4] = 0x94;
  publisher.write(frame);
  expect(await publisher.goodbye()).toMatchObject({ code: 'malformed_frame', message: expect.stringMatching(/fewer/) });
});

test('where a map ends its receiver finds out: it is forwarded as it came', async () => {
  const { broker, subscriber, publisher } = await scene();
  await using _ = broker;
  publisher.write(trailing(encodeFrame([Kind.publish, 'a.b', { a: 1 }])));
  await publisher.pong();
  expect(await subscriber.next()).toEqual(['undecodable']);
});
