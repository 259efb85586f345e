import { expect, test } from 'vitest';
import { Hosted } from './hosted.ts';

test('twenty collectors in one process: signals are handled once, and nothing warns of a leak', async () => {
  const warnings: string[] = [];
  const warned = (warning: Error) => warnings.push(warning.message);
  process.on('warning', warned);
  const before = { SIGTERM: process.listeners('SIGTERM'), SIGINT: process.listeners('SIGINT') };
  const shared = new AbortController();
  const collectors = Array.from(
    { length: 20 },
    (_, at) => new Hosted({}, { id: `c${at}`, signals: true, signal: shared.signal }),
  );
  const peers = await Promise.all(collectors.map((hosted) => hosted.registered()));
  const added = process.listeners('SIGTERM').filter((listener) => !before.SIGTERM.includes(listener));
  expect(added).toHaveLength(1);
  expect(process.listenerCount('SIGINT')).toBe(before.SIGINT.length + 1);
  added[0]!('SIGTERM');
  for (const peer of peers) peer.reply(await peer.request('collector.deregister'), { tasks_in_progress: 0 });
  await Promise.all(collectors.map(({ running }) => running));
  expect(process.listeners('SIGTERM')).toEqual(before.SIGTERM);
  expect(process.listeners('SIGINT')).toEqual(before.SIGINT);
  await new Promise((resolve) => setImmediate(resolve)); // warnings come in the next turn
  process.off('warning', warned);
  expect(warnings).toEqual([]);
});

test('one signal of the program stops all of them', async () => {
  const shared = new AbortController();
  const collectors = Array.from({ length: 12 }, (_, at) => new Hosted({}, { id: `c${at}`, signal: shared.signal }));
  const peers = await Promise.all(collectors.map((hosted) => hosted.registered()));
  shared.abort();
  for (const peer of peers) peer.reply(await peer.request('collector.deregister'), { tasks_in_progress: 0 });
  await Promise.all(collectors.map(({ running }) => running));
});
