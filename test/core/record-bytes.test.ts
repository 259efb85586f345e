import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Reader, Writer } from '../../src/core/bytes.ts';
import type { JournalRecord } from '../../src/core/record.ts';
import { readRecord, UnknownRecordError, writeRecord } from '../../src/core/record-bytes.ts';
import { taskStates } from '../../src/protocol/state.ts';

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 90 }), fc.constant('__proto__'));
const number = fc.oneof(fc.nat(), fc.maxSafeNat());
const bytes = fc.uint8Array({ maxLength: 300 });
const texts = fc.array(text, { maxLength: 4 });
const map = fc.dictionary(text, text, { maxKeys: 4 }).map((entries) => Object.fromEntries(Object.entries(entries)));
const maybe = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(some, { nil: undefined });
const error = maybe(fc.record({ code: text, message: text }));

const spec = fc.record({
  namespace: text,
  id: text,
  operation: text,
  priority: fc.nat(255),
  requires: texts,
  labels: map,
  collectorType: maybe(text),
  collectorId: maybe(text),
  timeoutMs: number,
  maxRetries: number,
  backoffBaseMs: number,
  backoffCapMs: number,
  metadata: map,
  correlation: fc.record(
    { correlation_id: text, parent_id: text, root_id: text, sequence: number, stage: text, tags: map },
    { requiredKeys: ['correlation_id'] },
  ),
  payload: bytes,
});

const progress = {
  state: fc.constantFrom(...taskStates),
  attempt: number,
  token: text,
  atMs: number,
  collectorId: maybe(text),
  readyAtMs: maybe(number),
  delayMs: maybe(number),
  error,
  excluded: texts,
};

const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({ kind: fc.constant('submitted'), seq: number, submittedAtMs: number, spec }),
  fc.record({ kind: fc.constant('moved'), seq: number, ...progress, result: maybe(bytes) }),
  fc.record({ kind: fc.constant('task'), seq: number, submittedAtMs: number, spec, ...progress }),
  fc.record({
    kind: fc.constant('attempt'),
    seq: number,
    attempt: number,
    collectorId: text,
    startedAtMs: number,
    endedAtMs: number,
    outcome: fc.constantFrom('completed', 'failed', 'gave_up', 'timed_out', 'lease_expired', 'not_reclaimed'),
    error,
  }),
  fc.record({ kind: fc.constant('counted'), nextSeq: number }),
  fc.record({ kind: fc.constant('level'), level: number }),
  fc.record({ kind: fc.constantFrom('purged', 'trimmed'), seqs: fc.array(number, { maxLength: 5 }) }),
  fc.record({ kind: fc.constant('expired'), beforeMs: number }),
  fc.record({ kind: fc.constant('setting'), namespace: text, key: text, value: maybe(text) }),
);

const plainSpec = {
  namespace: 'default',
  id: '018bcfe5-6800-7000-8000-000000000001',
  operation: 'scan',
  priority: 200,
  requires: ['gpu'],
  labels: { zone: 'a' },
  collectorType: 'net',
  collectorId: undefined,
  timeoutMs: 30_000,
  maxRetries: 3,
  backoffBaseMs: 5000,
  backoffCapMs: 3_600_000,
  metadata: { by: 'me' },
  correlation: { correlation_id: 'c', sequence: 7 },
  payload: Uint8Array.of(0xc0),
};

const bytesOf = (records: readonly JournalRecord[]): Uint8Array => {
  const writer = new Writer(16);
  for (const one of records) writeRecord(writer, one);
  return writer.written.slice();
};

/** Texts of a lone half of a surrogate pair have no bytes in UTF-8; nothing in deye accepts them. */
const wellFormed = (value: unknown): boolean => !JSON.stringify(value).includes('\\ud');

describe('records as bytes', () => {
  test('come back as they were, one behind the other', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), (records) => {
        fc.pre(wellFormed(records));
        const reader = new Reader(bytesOf(records));
        const read: JournalRecord[] = [];
        while (!reader.done) read.push(readRecord(reader));
        expect(read.map(plain)).toEqual(records.map(plain));
      }),
    );
  });

  test('say when they end too early, wherever that is', () => {
    fc.assert(
      fc.property(record, (one) => {
        fc.pre(wellFormed(one));
        const whole = bytesOf([one]);
        for (let end = 0; end < whole.length; end++)
          expect(() => readRecord(new Reader(whole.subarray(0, end)))).toThrow(RangeError);
      }),
      { numRuns: 40 },
    );
  });

  test('say when their body has changed', () => {
    const whole = bytesOf([
      { kind: 'submitted', seq: 1, submittedAtMs: 0, spec: { ...plainSpec, payload: Uint8Array.of(1, 2, 3) } },
    ]);
    for (let at = whole.length - 3; at < whole.length; at++)
      expect(() => readRecord(new Reader(whole.map((byte, i) => (i === at ? byte ^ 4 : byte))))).toThrow(
        'a body is damaged',
      );
  });

  test('say when they are longer or shorter than what they hold', () => {
    const whole = bytesOf([{ kind: 'counted', nextSeq: 9 }]);
    for (const by of [1, -1]) {
      const changed = Uint8Array.of(...whole, 0);
      changed[5]! += by; // the last of the four bytes of the length
      expect(() => readRecord(new Reader(changed))).toThrow(RangeError);
    }
  });

  test('say at once when a count is larger than what is left', () => {
    const writer = new Writer();
    for (const byte of [6, 1, 0, 0, 0, 7]) writer.byte(byte); // a `purged`, whose list is to have so many
    writer.number(2 ** 40);
    expect(() => readRecord(new Reader(writer.written))).toThrow('the bytes end too early');
  });

  test('mean nothing, or something else, with other bytes, and never hang or take memory', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (garbage) => {
        try {
          readRecord(new Reader(Uint8Array.of(2, 1, 0, 0, 0, garbage.length, ...garbage)));
        } catch (failure) {
          expect(failure).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [0, 1],
    [99, 1],
    [1, 0],
    [1, 2],
  ])('of kind %i in version %i stop the reader', (kind, version) => {
    expect(() => readRecord(new Reader(Uint8Array.of(kind, version, 0, 0, 0, 0)))).toThrow(UnknownRecordError);
  });

  // Written down once: what a released deye wrote is read for ever.
  const atMs = 1_700_000_000_000;
  const specHex =
    '0764656661756c742430313862636665352d363830302d373030302d383030302d303030303030303030303031047363616ec80101036770' +
    '7501047a6f6e65016101036e657400b0ea0103882780dddb0101026279026d650101630000010700000149662d3dc0';
  test.each<[string, JournalRecord]>([
    [`01010000006e0180d095ffbc31${specHex}`, { kind: 'submitted', seq: 1, submittedAtMs: atMs, spec: plainSpec }],
    [
      `05010000007c0180d095ffbc3100000080d095ffbc310000000000${specHex}`,
      {
        kind: 'task',
        seq: 1,
        submittedAtMs: atMs,
        state: 'pending',
        attempt: 0,
        token: '',
        atMs,
        collectorId: undefined,
        readyAtMs: undefined,
        delayMs: undefined,
        error: undefined,
        excluded: [],
        spec: plainSpec,
      },
    ],
    [
      '02010000001c01030203332e3480d095ffbc3101026e3100000000010149662d3dc0',
      {
        kind: 'moved',
        seq: 1,
        state: 'completed',
        attempt: 2,
        token: '3.4',
        atMs,
        collectorId: 'n1',
        readyAtMs: undefined,
        delayMs: undefined,
        error: undefined,
        excluded: [],
        result: Uint8Array.of(0xc0),
      },
    ],
    ['060100000003020102', { kind: 'purged', seqs: [1, 2] }],
    ['070100000002ac02', { kind: 'counted', nextSeq: 300 }],
    ['08010000000101', { kind: 'level', level: 1 }],
    ['09010000000680d095ffbc31', { kind: 'expired', beforeMs: atMs }],
    ['0a0100000003020102', { kind: 'trimmed', seqs: [1, 2] }],
    [
      '02010000002801020203332e3480d095ffbc3101026e310188f795ffbc310188270101780462c3bc6301026e3200',
      {
        kind: 'moved',
        seq: 1,
        state: 'retrying',
        attempt: 2,
        token: '3.4',
        atMs,
        collectorId: 'n1',
        readyAtMs: atMs + 5000,
        delayMs: 5000,
        error: { code: 'x', message: 'büc' },
        excluded: ['n2'],
        result: undefined,
      },
    ],
    [
      '0301000000130102026e3180d095ffbc3181d095ffbc310400',
      {
        kind: 'attempt',
        seq: 1,
        attempt: 2,
        collectorId: 'n1',
        startedAtMs: atMs,
        endedAtMs: atMs + 1,
        outcome: 'lease_expired',
        error: undefined,
      },
    ],
    [
      '0401000000210764656661756c7410726f7574696e672e7374726174656779010672616e646f6d',
      { kind: 'setting', namespace: 'default', key: 'routing.strategy', value: 'random' },
    ],
  ])('of version 1 are read: %s', (hex, expected) => {
    const record = readRecord(new Reader(Uint8Array.from(Buffer.from(hex, 'hex'))));
    expect(plain(record)).toEqual(plain(expected));
  });
});

/** Buffers and Uint8Arrays with the same bytes are equal. */
const plain = (value: JournalRecord): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, one: unknown) => (one instanceof Uint8Array ? Array.from(one) : one)),
    (_key, one: unknown) =>
      typeof one === 'object' && one !== null && 'type' in one && one.type === 'Buffer' && 'data' in one
        ? one.data
        : one,
  );
