/** No frame of the broker is over the limit that its welcome names. The checker looks at each one, here and elsewhere. */
import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { statusTopic } from '../../src/protocol/view-schema.ts';
import { harness } from '../broker/harness.ts';
import { VirtualClock } from '../broker/virtual-clock.ts';

const aboutMe = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`name-${at}`, 'x'.repeat(500)]));

async function crowd(frameBytesMax: number, metadata: Record<string, string>) {
  const clock = new VirtualClock();
  const broker = await harness({ frameBytesMax }, { clock });
  const [observer, ...collectors] = await Promise.all(
    ['observer', 'collector', 'collector', 'collector'].map((role) => broker.session(role as 'observer')),
  );
  await observer!.request('topic.subscribe', { patterns: [statusTopic] });
  await clock.advance(1000);
  expect(await observer!.message()).toMatchObject({ waiting: 0 });
  for (const [at, collector] of collectors.entries()) await collector.register(`w-${at}`, { metadata });
  await clock.advance(3000);
  return { broker, clock, observer: observer!, collectors };
}

test('what collectors say of themselves makes a list too large, and a status never', async () => {
  const { broker, observer } = await crowd(30_000, aboutMe);
  await using _ = broker;
  expect(await observer.message()).toMatchObject({ collector_count: 3, collectors: [{ metadata: {} }, {}, {}] });
  expect(await observer.request('broker.snapshot', {})).toMatchObject({ collector_count: 3 });
  expect(await observer.refused('collector.list', {})).toMatchObject({
    code: 'reply_too_large',
    context: { limit: 30_000 },
  });
  const page = await observer.request('collector.list', { limit: 2 });
  expect(page).toMatchObject({ collectors: [{ collector_id: 'w-0' }, { collector_id: 'w-1' }], cursor: 'w-1' });
  expect(await observer.request('collector.list', { limit: 2, cursor: page.cursor! })).toMatchObject({
    collectors: [{ collector_id: 'w-2' }],
  });
});

test('a status that fits no frame is refused to those who ask, and not published', async () => {
  const { broker, clock, observer, collectors } = await crowd(1400, {});
  await using _ = broker;
  expect(observer.frames.filter(([kind]) => kind === Kind.publish)).toEqual([]);
  expect(await observer.refused('broker.snapshot', {})).toMatchObject({
    code: 'reply_too_large',
    context: { limit: 1400 },
  });
  for (const collector of collectors) await collector.request('collector.deregister', {});
  await clock.advance(1000);
  expect(await observer.message()).toMatchObject({ waiting: 0 });
});
