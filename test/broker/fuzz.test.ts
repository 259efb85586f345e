import { expect, test } from 'vitest';
import { nextRandom } from '../../src/core/random.ts';
import { encodeFrame, encodeReply, Kind } from '../../src/protocol/frame.ts';
import { harness, type Raw, until } from './harness.ts';

const mutants = Number(process.env.DEYE_BROKER_MUTANTS ?? 20_000);

test(`${mutants} mutated, cut and glued frames against a living broker: sessions end by the rules, nobody else notices`, {
  timeout: 600_000,
}, async () => {
  await using broker = await harness({ outboundBytesMax: 1 << 20, frameBytesMax: 600 }); // a wrong length swallows little;
  const random = { seed: Number(process.env.DEYE_SEED ?? 7) };
  const pick = (below: number) => Math.floor(nextRandom(random) * below);
  const witness = await broker.client('witness');
  const heard = await witness.subscribe('witness.*');
  const callee = await broker.client('callee', 'collector');
  await callee.request('collector.register', {
    collector_id: 'c1',
    collector_type: 't',
    operations: [{ name: 'constructor' }],
  });
  callee.serve(() => 'answer');
  let id = 65_536;
  const { id: known } = await witness.submit({ operation: 'known', payload: [1, { a: 'b' }] });
  const request = (target: string, method: string, params: unknown, timeoutMs = 0): Buffer =>
    encodeFrame([Kind.request, ++id, target, method, params, timeoutMs]);
  const lease = () => ({ task_id: known, token: `${pick(3)}.${pick(100).toString(36)}` });
  const error = { code: 'x', message: 'y' };
  const seeds = (): Buffer[] => [
    request('broker', 'task.show', { id: known, include: ['payload', 'result'] }),
    request('broker', 'task.wait', { id: known, include: ['payload'] }, 5 + pick(50)),
    request('broker', 'task.complete', { ...lease(), result: { a: [1] } }),
    request('broker', 'task.fail', { ...lease(), error, next: 'elsewhere', retry_after_ms: 5 }),
    request('broker', 'collector.heartbeat', { leases: [lease(), lease()], status: 'degraded' }),
    request('broker', 'collector.deregister', { force: pick(2) === 0 }),
    request('broker', 'routing.set', { strategy: 'random', operation: `op-${pick(50)}` }),
    request('broker', 'topic.subscribe', { patterns: ['fuzz.*', 'fuzz.+'], exclude: ['fuzz.b'] }),
    request('broker', 'topic.unsubscribe', { patterns: ['fuzz.*'] }),
    encodeFrame([Kind.publish, 'fuzz.a', 'body', { header: 'x' }]),
    encodeFrame([Kind.publish, 'fuzz.a', { a: 1 }]),
    encodeFrame([Kind.publishConfirmed, 1 + pick(1000), 'fuzz.b', 'x'.repeat(pick(40))]),
    encodeFrame([Kind.request, ++id, 'broker', 'task.submit', { operation: 'nobody', payload: [1, 2] }, 1000]),
    encodeFrame([
      Kind.request,
      ++id,
      'broker',
      'task.submit_batch',
      { tasks: [{ operation: 'nobody' }, { operation: 'b', payload: 1 }] },
      0,
    ]),
    encodeFrame([Kind.request, ++id, 'broker', 'topic.subscribe', { patterns: ['fuzz.#'] }, 0]),
    encodeFrame([Kind.request, ++id, 'broker', 'broker.capabilities', {}, 0]),
    encodeFrame([Kind.request, ++id, 'broker', 'task.list', { state: ['failed'], limit: 5 }, 0]),
    encodeFrame([
      Kind.request,
      ++id,
      'broker',
      'collector.register',
      {
        collector_id: `f${pick(9)}`,
        collector_type: 't',
        operations: [{ name: 'x' }],
        leases: [lease()],
        event_domains: ['fuzz'],
      },
      0,
    ]),
    encodeFrame([Kind.request, ++id, 'c1', 'anything', { deep: [[[1]]] }, 500]),
    encodeFrame([Kind.request, ++id, 'any:constructor', '__proto__', {}, 500]),
    encodeReply(65_536 + pick(10), { result: 1 }),
    encodeFrame([Kind.chunk, 65_536 + pick(10), 'part']),
    encodeFrame([Kind.cancel, 65_536 + pick(10)]),
    encodeFrame([Kind.ping, 1]),
    encodeFrame([Kind.pong, 1]),
    encodeFrame([Kind.goodbye, 'bye']),
    encodeFrame([Kind.hello, { protocol: '1.0', name: 'again' }]),
  ];
  const mutate = (frame: Buffer): Buffer => {
    const what = pick(10);
    if (what === 0) return frame.subarray(0, pick(frame.length)); // cut; what follows is read as its rest
    if (what === 1) {
      // A short frame that says so: its length is true.
      const short = Buffer.from(frame.subarray(0, 6 + pick(8)));
      short.writeUInt32BE(short.length - 4);
      return short;
    }
    for (let changes = 1 + pick(3); changes > 0; changes--)
      frame[(what === 2 ? 0 : 4) + pick(frame.length - 4)] =
        pick(3) === 0 ? [0xc1, 0xce, 0xdd, 0xdf, 0xdb, 0xff, 0x91, 0x00][pick(8)]! : pick(256);
    return frame;
  };
  let ended = 0;
  let raw: Raw | undefined;
  for (let at = 0; at < mutants; at++) {
    if (raw === undefined || raw.closed) {
      if (raw !== undefined) ended++;
      raw = broker.raw().hello(['operator', 'collector', 'observer'][pick(3)]);
    }
    const all = seeds();
    const frame = all[pick(all.length)]!;
    raw.write(pick(4) === 0 ? frame : mutate(frame));
    if (at % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (raw.frames.length > 1000) raw.frames.length = 0;
    if (at % 1000 === 0) {
      expect(await witness.publish('witness.me', at, { confirm: true })).toMatchObject({
        subscribers: expect.any(Number),
      });
      expect(await witness.call('c1', 'x')).toBe('answer');
    }
  }
  raw?.stream.destroy();
  for (let at = 0; at < mutants; at += 1000) expect((await heard.next()).value?.body).toBe(at);
  expect(ended).toBeGreaterThan(mutants / 100);
  await until(() => broker.running.broker.sessions.size === 2, 'only the witness and the callee are left');
  expect((await witness.request('broker.health', {})).status).toBe('healthy');
  expect(await witness.request('task.show', { id: known, include: ['payload'] })).toMatchObject({
    state: 'pending',
    payload: [1, { a: 'b' }],
  });
});
