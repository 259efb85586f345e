/** Who waits for whom, and until when. */
import { describe, expect, test } from 'vitest';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { type Holdable, Holds } from '../../src/relay/holds.ts';
import type { Peer } from '../../src/relay/peer.ts';

const limits = { ...defaultLimits, outboundBytesMax: 100 };

function scene() {
  const began: number[] = [];
  const resumed: string[] = [];
  const holds = new Holds(limits, ({ session }) => began.push(session));
  const peer = (session: number, queuedBytes: number) =>
    ({ session, link: { queuedBytes, takenAtMs: 0, push() {}, send() {} } }) as unknown as Peer & {
      link: { queuedBytes: number };
    };
  const held = (name: string): Holdable => ({ resume: () => resumed.push(name) });
  return { holds, began, resumed, peer, held };
}

describe('a peer', () => {
  test('holds what sends to it while it is over its limit, until it is down to half of it', () => {
    const { holds, began, resumed, peer, held } = scene();
    const [full, a, b] = [peer(1, 100), held('a'), held('b')];
    expect(holds.hold(full, a)).toBe(false);
    full.link.queuedBytes = 101;
    expect([holds.hold(full, a), holds.hold(full, b)]).toEqual([true, true]);
    expect([holds.isHeld(a), holds.isHolding(full), began]).toEqual([true, true, [1]]);
    full.link.queuedBytes = 51;
    holds.taken(full);
    expect(resumed).toEqual([]);
    full.link.queuedBytes = 50;
    holds.taken(full);
    expect(resumed).toEqual(['a', 'b']);
    expect(holds.size).toBe(0);
  });

  test('that lets go and is full again is another hold: the first one is over', () => {
    const { holds, began, peer, held } = scene();
    const [full, a] = [peer(1, 101), held('a')];
    holds.hold(full, a);
    const isStillHolding = holds.since(full);
    expect(isStillHolding()).toBe(true);
    holds.release(full);
    expect(isStillHolding()).toBe(false);
    holds.hold(full, a);
    expect([isStillHolding(), holds.since(full)()]).toEqual([false, true]);
    expect(began).toEqual([1, 1]);
  });
});

describe('one that waits', () => {
  test('for two peers is held until both let go', () => {
    const { holds, resumed, peer, held } = scene();
    const [one, two, a] = [peer(1, 101), peer(2, 101), held('a')];
    holds.hold(one, a);
    holds.hold(two, a);
    holds.release(one);
    expect(holds.isHeld(a)).toBe(true);
    holds.release(two);
    expect(holds.isHeld(a)).toBe(false);
    expect(resumed).toEqual(['a', 'a']);
  });

  test('and is closed leaves no trace, and holds nobody up', () => {
    const { holds, resumed, peer, held } = scene();
    const [one, two, a, b] = [peer(1, 101), peer(2, 101), held('a'), held('b')];
    holds.hold(one, a);
    holds.hold(two, a);
    holds.hold(two, b);
    holds.remove(a);
    expect([holds.isHolding(one), holds.isHolding(two), holds.isHeld(b)]).toEqual([false, true, true]);
    holds.release(two);
    expect(resumed).toEqual(['b']);
    expect(holds.size).toBe(0);
  });

  test('goes on by itself once, and not when it waits no more', () => {
    const { holds, resumed, peer, held } = scene();
    const [full, a] = [peer(1, 101), held('a')];
    holds.hold(full, a);
    holds.resume(full, a);
    holds.resume(full, a);
    expect(resumed).toEqual(['a']);
    expect(holds.size).toBe(0);
  });
});
