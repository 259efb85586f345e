/** When the next of several large answers is read, and when no more requests are. */
import { describe, expect, test } from 'vitest';
import { ReadQueue } from '../../src/broker/read-queue.ts';
import type { ReplyTo } from '../../src/core/input.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';

const limits = { ...defaultLimits, outboundBytesMax: 800, waitsMax: 4 };

function scene() {
  const events: string[] = [];
  const link = { queuedBytes: 0, takenAtMs: 0, push() {}, send() {} };
  const queue = new ReadQueue(link, limits, {
    resume: () => events.push('resume'),
    blocked: () => events.push('blocked'),
  });
  const add = (name: string, to: ReplyTo = { session: 1, id: 65_536 }): ReplyTo => {
    queue.add(to, () => events.push(name));
    return to;
  };
  /** What happened since the last look. */
  const since = (): string[] => events.splice(0);
  return { queue, link, add, since };
}

describe('the next read begins', () => {
  test('when the one before it is answered, that very request', () => {
    const { queue, add, since } = scene();
    const one = add('one');
    add('two', { ...one });
    expect(since()).toEqual(['one']);
    queue.answered({ ...one }); // another request under the same id
    expect(since()).toEqual([]);
    queue.answered(one);
    expect(since()).toEqual(['two']);
  });

  test('when the session has read all but an eighth of its limit, and not before', () => {
    const { queue, link, add, since } = scene();
    const one = add('one');
    link.queuedBytes = 101;
    queue.answered(one);
    add('two');
    expect(since()).toEqual(['one', 'blocked']);
    expect(queue.isBlocked).toBe(true);
    queue.next();
    expect(since()).toEqual([]);
    link.queuedBytes = 100;
    queue.next();
    expect(since()).toEqual(['two']);
    expect(queue.isBlocked).toBe(false);
  });

  test('never once the session is closed', () => {
    const { queue, add, since } = scene();
    const one = add('one');
    add('two');
    queue.close();
    queue.answered(one);
    add('three');
    expect(since()).toEqual(['one']);
    expect(queue.length).toBe(0);
  });
});

test('a full queue stays full until half of it is done; then requests are read again, once', () => {
  const { queue, add, since } = scene();
  const requests = ['0', '1', '2', '3'].map((name) => add(name, { session: 1, id: Number(name) }));
  expect(queue.isFull).toBe(false);
  requests.push(add('4', { session: 1, id: 4 }));
  expect(queue.isFull).toBe(true);
  expect(since()).toEqual(['0']);
  queue.answered(requests[0]!);
  expect([since(), queue.isFull]).toEqual([['1'], true]);
  queue.answered(requests[1]!);
  expect([since(), queue.isFull]).toEqual([['resume', '2'], false]);
  queue.answered(requests[2]!);
  expect([since(), queue.isFull]).toEqual([['3'], false]);
});
