/** What the log says of a session: who it was, what it lost, why it ended. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Session } from '../../src/broker/session.ts';
import { Kind } from '../../src/protocol/frame.ts';
import { harness } from './harness.ts';
import { settle } from './virtual-clock.ts';

function logged() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, of: (msg: string) => lines.filter((line) => line.msg === msg) };
}

test('a session that violates the protocol is named with its version, and counted', async () => {
  const { log, of } = logged();
  await using broker = await harness({}, { log });
  const raw = broker.raw().send(Kind.hello, { protocol: '1.0', name: 'odd', version: '7.1', role: 'observer' });
  const { session } = await raw.welcome();
  raw.send(Kind.welcome);
  expect(await raw.goodbye()).toMatchObject({ code: 'malformed_frame' });
  const who = { component: 'session', session, name: 'odd', version: '7.1', role: 'observer' };
  expect(of('session opened')).toMatchObject([{ ...who, peer: { scheme: 'memory', proof: 'process' } }]);
  expect(of('a session violated the protocol and was closed')).toMatchObject([{ ...who, code: 'malformed_frame' }]);
  expect(of('session closed')).toMatchObject([{ ...who, dropped: 0 }]);
  expect(broker.running.broker.sessions.broken).toBe(1);
});

test('one that reads nothing: how many messages it lost', async () => {
  const { log, of } = logged();
  await using broker = await harness({ outboundBytesMax: 10_000 }, { log });
  const [slow, publisher] = [await broker.session(), await broker.session()];
  await slow.request('topic.subscribe', { patterns: ['a'] });
  slow.stream.pause();
  for (let count = 0; count < 100; count++) publisher.send(Kind.publish, 'a', 'x'.repeat(20_000));
  await publisher.pong();
  const { dropped } = [...broker.running.broker.sessions][0]!.peer;
  expect(dropped).toBeGreaterThan(0);
  slow.stream.destroy();
  await settle();
  expect(of('session closed')).toMatchObject([{ dropped }]);
});

test('one that was not let in was no session: it is neither logged nor counted', async () => {
  const { log, of } = logged();
  await using broker = await harness({ connectionsMax: 1 }, { log });
  const first = await broker.session();
  const second = broker.raw();
  expect(await second.goodbye()).toMatchObject({ code: 'busy' });
  second.stream.destroy();
  await first.pong();
  expect(broker.running.broker.sessions.size).toBe(1);
  expect(of('session closed')).toEqual([]);
});

test.each([
  ['over a socket', true, { scheme: 'unix', proof: 'directory' }],
  ['in this process', false, { scheme: 'memory', proof: 'process' }],
] as const)('%s: the principal carries how its program is known, also as a collector', async (_where, socket, peer) => {
  await using broker = await harness({}, { socket });
  const raw = await broker.session('collector');
  await raw.register('c');
  const [{ principal }] = [...broker.running.broker.sessions] as [Session];
  expect(principal).toMatchObject({ role: 'collector', collectorId: 'c', peer });
});

test('the id of a session is never that of another, over all starts and machines', async () => {
  const ids: unknown[] = [];
  for (let start = 0; start < 3; start++) {
    await using broker = await harness();
    for (let at = 0; at < 20; at++) ids.push((await broker.raw().hello('observer').welcome()).session);
  }
  expect(new Set(ids).size).toBe(60);
  // So many bits of chance that no other machine makes the same.
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
