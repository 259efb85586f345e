import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeFrame,
  encodeFrameWith,
  encodeReply,
  FrameReader,
  type FrameSink,
  FrameTooLargeError,
  Kind,
  readId,
  readText,
  readUint,
  rewriteId,
} from '../../src/protocol/frame.ts';
import {
  decodeValue,
  elementBytes,
  encodeBody,
  encodeMapWith,
  encodeValue,
  fieldBytes,
  MalformedError,
  skipValue,
} from '../../src/protocol/msgpack.ts';
import { readRequest } from '../../src/protocol/request.ts';

const plainValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.integer(),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.double({ noNaN: true }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.string({ maxLength: 8 }).filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 5, noNullPrototype: true },
    ),
  ),
})).value;

const collect = (): FrameSink & { frames: Buffer[] } => {
  const frames: Buffer[] = [];
  return {
    frames,
    frame(bytes, start, end) {
      frames.push(Buffer.from(bytes.subarray(start, end)));
      return true;
    },
  };
};

test('what was encoded is decoded, whatever it is', () => {
  fc.assert(
    fc.property(plainValue, (value) => {
      expect(encodeValue(decodeValue(encodeBody(value)))).toEqual(encodeValue(value));
    }),
    { numRuns: 2000 },
  );
});

describe('every chunking gives the same frames', () => {
  const frames = [
    encodeFrame([Kind.ping, 1]),
    encodeFrame([Kind.publish, 'a.b', 'x'.repeat(300)]),
    encodeFrame([Kind.pong, 2]),
    encodeReply(70_000, { result: { a: [1, 2, 3] } }),
  ];
  const stream = Buffer.concat(frames);

  test('every split point, and one byte at a time', () => {
    for (let split = 0; split <= stream.length; split++) {
      const sink = collect();
      const reader = new FrameReader(1000);
      reader.feed(stream.subarray(0, split), sink);
      reader.feed(stream.subarray(split), sink);
      expect(sink.frames).toEqual(frames);
      expect(reader.partialBytes).toBe(0);
    }
    const sink = collect();
    const reader = new FrameReader(1000);
    for (const byte of stream) reader.feed(Buffer.from([byte]), sink);
    expect(sink.frames).toEqual(frames);
  });

  test('random chunks, and a sink that holds frames back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        fc.array(fc.boolean()),
        (sizes, holds) => {
          const taken: Buffer[] = [];
          let asked = 0;
          const sink: FrameSink = {
            frame(bytes, start, end) {
              if (holds[asked++] === true) return false;
              taken.push(Buffer.from(bytes.subarray(start, end)));
              return true;
            },
          };
          const reader = new FrameReader(1000);
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const size = sizes[turn % sizes.length]!;
            reader.feed(stream.subarray(at, at + size), sink);
            at += size;
          }
          for (let left = holds.length + 1; left > 0; left--) reader.resume(sink);
          expect(taken).toEqual(frames);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('bombs are refused before anything is allocated for them', () => {
  const refused = (bytes: number[] | Buffer) => expect(() => decodeValue(Buffer.from(bytes))).toThrow(MalformedError);
  test('declared counts', () => {
    refused([0xdd, 0x7f, 0xff, 0xff, 0xff]);
    refused([0xdf, 0x7f, 0xff, 0xff, 0xff]);
    refused([0xdc, 0xff, 0xff, 1, 2, 3]);
    refused([0xdb, 0xff, 0xff, 0xff, 0xff, 65]);
    refused([0xc6, 0xff, 0xff, 0xff, 0xff, 65]);
  });
  test('depth of a million', () => {
    refused(Buffer.concat([Buffer.alloc(1_000_000, 0x91), Buffer.from([0xc0])]));
    expect(decodeValue(Buffer.concat([Buffer.alloc(64, 0x91), Buffer.from([0xc0])]))).toBeInstanceOf(Array);
    refused(Buffer.concat([Buffer.alloc(65, 0x91), Buffer.from([0xc0])]));
  });
  test('extensions, the byte that is never used, keys that are no strings, bytes left over', () => {
    for (const head of [0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xc7, 0xc8, 0xc9])
      refused([head, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    refused([0xc1]);
    refused([0x81, 1, 1]);
    refused([1, 2]);
    refused([]);
  });
  test('a length of 4 GiB, and a header that never ends', () => {
    const reader = new FrameReader(16 * 1024 * 1024);
    expect(() => reader.feed(Buffer.from([0xff, 0xff, 0xff, 0xff]), collect())).toThrow(FrameTooLargeError);
    const slow = new FrameReader(16 * 1024 * 1024);
    slow.feed(Buffer.from([0, 0xff, 0xff, 0xff]), collect());
    for (let at = 0; at < 1000; at++) slow.feed(Buffer.from([0x91]), collect());
    expect(slow.partialBytes).toBe(1004);
  });
});

test('__proto__ is refused; constructor and toString are ordinary keys', () => {
  const map = (key: string) =>
    Buffer.concat([Buffer.from([0x81, 0xa0 + key.length]), Buffer.from(key), Buffer.from([0x01])]);
  expect(() => decodeValue(map('__proto__'))).toThrow(/__proto__/);
  for (const key of ['constructor', 'toString', 'hasOwnProperty', 'prototype'])
    expect(Object.entries(decodeValue(map(key)) as object)).toEqual([[key, 1]]);
});

test('mutated frames are refused with a fault of their own or taken, never anything else', () => {
  const seeds = [
    encodeFrame([Kind.request, 70_000, 'broker', 'task.submit', { operation: 'a', payload: [1, { b: 'c' }] }, 1000]),
    encodeFrame([Kind.publish, 'events.process.new', { pid: 1 }]),
    encodeReply(80_000, { result: [1.5, -3, 'x'] }),
    encodeFrame([Kind.hello, { protocol: '1.0', name: 'n' }]),
  ];
  const mutants = Number(process.env.DEYE_MUTANTS ?? 100_000);
  let random = 12345;
  const next = (below: number) => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((random / 2 ** 32) * below);
  };
  let refused = 0;
  for (let at = 0; at < mutants; at++) {
    const frame = Buffer.from(seeds[next(seeds.length)]!);
    for (let changes = 1 + next(4); changes > 0; changes--)
      frame[4 + next(frame.length - 4)] =
        next(3) === 0 ? [0xc1, 0xdd, 0xdf, 0xdb, 0xff, 0x91, 0x81][next(7)]! : next(256);
    try {
      new FrameReader(1 << 20).feed(frame, {
        frame(bytes, start, end) {
          decodeValue(bytes, start + 4, end);
          if (bytes[start + 5] === Kind.request) readRequest(bytes, start, end);
          return true;
        },
      });
    } catch (error) {
      if (!(error instanceof MalformedError)) throw new Error(`mutant ${frame.toString('hex')}`, { cause: error });
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(mutants / 10);
  expect(refused).toBeLessThan(mutants);
});

test('ids keep their place and are rewritten there', () => {
  const frame = encodeFrame([Kind.request, 70_000, 'c1', 'health_check', {}, 5]);
  expect(readId(frame, 0, frame.length)).toBe(70_000);
  // The bytes after a short frame belong to another, or to nobody.
  expect(() => readId(Buffer.from([0, 0, 0, 2, 0x91, 6, 0xce]), 0, 6)).toThrow(MalformedError);
  expect(() => readId(Buffer.from([0, 0, 0, 5, 0x92, 6, 0xce, 1, 2]), 0, 9)).toThrow(MalformedError);
  rewriteId(frame, 0, 4_000_000_000);
  expect(decodeValue(frame, 4)).toEqual([Kind.request, 4_000_000_000, 'c1', 'health_check', {}, 5]);
  expect(() => readId(encodeFrame([Kind.reply, 7, 0, null]), 0, 12)).toThrow(MalformedError);
  expect(readRequest(frame, 0, frame.length)).toMatchObject({ target: 'c1', method: 'health_check', timeoutMs: 5 });
});

test('raw fields travel byte for byte', () => {
  const odd = Buffer.from([0xcf, 0, 0, 0, 0, 0, 0, 0, 1]); // 1, written long
  const map = encodeMapWith({ a: 1 }, { payload: odd, nothing: undefined });
  expect(fieldBytes(map, 0, 'payload')).toEqual(odd);
  expect(fieldBytes(map, 0, 'nothing')).toBeUndefined();
  expect(decodeValue(map)).toEqual({ a: 1, payload: 1 });
  const array = encodeValue([{ x: 1 }, 'two', [3]]);
  expect(elementBytes(array).map((bytes) => decodeValue(bytes))).toEqual([{ x: 1 }, 'two', [3]]);
  const frame = encodeFrameWith([Kind.publish, 'a'], odd);
  expect(frame.subarray(-9)).toEqual(odd);
});

test('numbers and texts at the head of a frame', () => {
  for (const value of [0, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295])
    expect(readUint(encodeValue(value), 0, 9).value).toBe(value);
  expect(() => readUint(Buffer.from([0xff]), 0, 1)).toThrow(MalformedError);
  expect(() => readUint(Buffer.from([0xce, 1]), 0, 2)).toThrow(MalformedError);
  expect(readText(encodeValue('é'.repeat(20)), 0, 100).text).toBe('é'.repeat(20));
  expect(() => readText(Buffer.from([0xa5, 65]), 0, 2)).toThrow(MalformedError);
});

test('a value that cannot travel is refused where it is sent', () => {
  expect(() => encodeBody(new Date())).toThrow(/cannot travel/);
  expect(() => encodeBody({ at: new Date() })).toThrow(TypeError);
  expect(decodeValue(encodeBody(undefined))).toBeNull();
  expect(skipValue(encodeBody({ a: 1 }), 0, 100)).toBe(encodeBody({ a: 1 }).length);
});
