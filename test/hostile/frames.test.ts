/** No frame of the broker is over the limit that its welcome names. The checker looks at each one, here and elsewhere. */
import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { statusTopic } from '../../src/protocol/view-schema.ts';
import { harness } from '../broker/harness.ts';
import { VirtualClock } from '../broker/virtual-clock.ts';

test('a status that fits no frame is refused to those who ask, and not published', async () => {
  const clock = new VirtualClock();
  await using broker = await harness({ frameBytesMax: 30_000 }, { clock });
  const [observer, ...collectors] = await Promise.all(
    ['observer', 'collector', 'collector', 'collector'].map((role) => broker.session(role as 'observer')),
  );
  const metadata = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`name-${at}`, 'x'.repeat(500)]));
  await observer!.request('topic.subscribe', { patterns: [statusTopic] });
  await clock.advance(1000);
  expect(await observer!.message()).toMatchObject({ waiting: 0 });
  for (const [at, collector] of collectors.entries()) await collector.register(`w-${at}`, { metadata });
  await clock.advance(3000);
  expect(observer!.frames.filter(([kind]) => kind === Kind.publish)).toEqual([]);
  for (const method of ['broker.snapshot', 'collector.list'])
    expect(await observer!.refused(method, {})).toMatchObject({ code: 'reply_too_large', context: { limit: 30_000 } });
  await collectors[0]!.request('collector.deregister', {});
  await clock.advance(1000);
  expect(await observer!.message()).toMatchObject({ waiting: 0 });
});
