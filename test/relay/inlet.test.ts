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
