import { expect, test } from 'vitest';
import { PendingAcks } from '../../src/client/pending-acks.ts';
import { fault } from '../../src/protocol/fault.ts';

/** So many confirmed publishes, and what became of each. */
function published(count: number) {
  const acks = new PendingAcks();
  const outcomes: string[] = Array.from({ length: count }, () => 'pending');
  for (let at = 0; at < count; at++)
    acks.add(
      ({ subscribers }) => {
        outcomes[at] = `delivered to ${subscribers}`;
      },
      ({ message }) => {
        outcomes[at] = message;
      },
    );
  return { acks, outcomes };
}

test('a refusal is meant for the publish that it names; those before it were delivered, later ones wait', () => {
  const { acks, outcomes } = published(4);
  acks.ack(3, 2, fault('not_allowed', 'refused'));
  expect(outcomes).toEqual(['delivered to 2', 'delivered to 2', 'refused', 'pending']);
  acks.ack(4, 1, undefined);
  expect(outcomes[3]).toBe('delivered to 1');
});

test('an ack settles all up to its sequence, once', () => {
  const { acks, outcomes } = published(3);
  acks.ack(2, 1, undefined);
  acks.ack(2, 5, fault('not_allowed', 'refused'));
  expect(outcomes).toEqual(['delivered to 1', 'delivered to 1', 'pending']);
  acks.failAll(new Error('connection lost'));
  expect(outcomes).toEqual(['delivered to 1', 'delivered to 1', 'connection lost']);
});
