import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refusePattern, refuseTopic, topicMatches } from '../../src/protocol/topic.ts';
import type { Peer } from '../../src/relay/peer.ts';
import { SubscriptionTrie } from '../../src/relay/subscription.ts';

/** SPEC's truth table. */
const truth: [pattern: string, topic: string, matches: boolean][] = [
  ['events.process.*', 'events.process.new', true],
  ['events.process.*', 'events.process', false],
  ['events.#', 'events.process.new', true],
  ['events.#', 'control.collector.status', false],
  ['events.*.new', 'events.process.new', true],
  ['events.+.+', 'events.process.new', true],
  ['events.+.+', 'events.process.lifecycle.new', false],
  ['events.+.#', 'events.process.lifecycle.new', true],
  ['events.#', 'events', true],
  ['events.process.new.#', 'events.process.new', true],
  ['#', 'anything.at.all', true],
];

const segment = fc.constantFrom('a', 'b', 'c', 'x-1', 'y_2');
const topic = fc.array(segment, { minLength: 1, maxLength: 8 }).map((segments) => segments.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(segment, fc.constantFrom('*', '+')), { minLength: 1, maxLength: 7 }), fc.boolean())
  .map(([segments, open]) => [...segments, ...(open ? ['#'] : [])].join('.'));

const peer = (session: number): Peer => ({
  session,
  link: undefined as never,
  patterns: new Set(),
  excluded: new Set(),
  dropped: 0,
  noStallUntilMs: 0,
});

describe('the truth table', () => {
  test.each(truth)('%s against %s: %s', (wanted, given, matches) => {
    expect(topicMatches(wanted, given)).toBe(matches);
    const trie = new SubscriptionTrie();
    trie.add(wanted, peer(1));
    expect(trie.match(given).size).toBe(matches ? 1 : 0);
  });
});

describe('refused', () => {
  test.each([
    ['system.health.status', /reserved/],
    ['debug.x', /reserved/],
    ['events.Process.new', /character/],
    ['events..x', /empty segment/],
    ['', /empty/],
    ['a.b.c.d.e.f.g.h.i', /more than 8/],
    [`a.${'b'.repeat(254)}`, /longer than 255/],
    ['a.*', /character/],
    ['a.\u0000', /character/],
  ])('topic %j', (given, why) => {
    expect(refuseTopic(given)).toMatchObject({ code: 'bad_topic', message: expect.stringMatching(why) });
  });
  test.each([
    ['events.#.process', /must be the last/],
    ['#.x', /must be the last/],
    ['events..*', /empty segment/],
    ['ev*nts', /character/],
    ['system.#', /reserved/],
  ])('pattern %j', (given, why) => {
    expect(refusePattern(given)).toMatchObject({ code: 'bad_pattern', message: expect.stringMatching(why) });
  });
});

test('the trie agrees with the reference, whatever is added and taken away', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(pattern, fc.boolean()), { maxLength: 30 }), topic, (steps, given) => {
      const trie = new SubscriptionTrie();
      const peers = new Map<string, Peer>();
      for (const [wanted, add] of steps) {
        const one = peers.get(wanted) ?? peer(peers.size);
        peers.set(wanted, one);
        if (add) {
          trie.add(wanted, one);
          one.patterns.add(wanted);
        } else {
          trie.delete(wanted, one);
          one.patterns.delete(wanted);
        }
      }
      const expected = [...peers.values()].filter(({ patterns }) =>
        [...patterns].some((wanted) => topicMatches(wanted, given)),
      );
      expect(new Set(trie.match(given))).toEqual(new Set(expected));
      expect(trie.size).toBe([...peers.values()].reduce((sum, { patterns }) => sum + patterns.size, 0));
    }),
    { numRuns: 2000 },
  );
});

test('one delivery per peer', () => {
  const trie = new SubscriptionTrie();
  const one = peer(1);
  for (const wanted of ['a.#', 'a.*', 'a.b']) trie.add(wanted, one);
  expect([...trie.match('a.b')]).toEqual([one]);
  expect([...trie.match('b')]).toEqual([]);
});
