/** What a link keeps while its stream takes nothing. */
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { Link } from '../../src/relay/link.ts';

const kib = 1024;

/** A stream that takes nothing until `release` is called, and then everything; `written` is what it was given. */
function stuckStream() {
  const written: Buffer[] = [];
  let waiting: (() => void) | undefined;
  let isStuck = true;
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk);
      if (isStuck) waiting = done;
      else done();
    },
  });
  const release = (): void => {
    isStuck = false;
    waiting?.();
  };
  return { stream, written, release };
}

test('what waits behind a write keeps no larger chunk alive than itself', async () => {
  const { stream, written, release } = stuckStream();
  const link = new Link(stream, { dirty: () => {}, taken: () => {}, nowMs: () => 0 });
  const sizes = Array.from({ length: 120 }, (_, at) => (17 + (at % 4)) * kib);
  for (const [at, size] of sizes.entries()) {
    const chunk = Buffer.alloc(64 * kib, at); // as a socket reads them
    link.push(chunk, 1000, 1000 + size);
    if (at % 10 === 9) link.flush();
  }
  expect(link.writes).toBe(1);
  const all = sizes.reduce((sum, size) => sum + size);
  expect(link.queuedBytes).toBe(all);
  const inFlight = stream.writableLength;
  release();
  while (link.queuedBytes > 0) await new Promise((resolve) => setImmediate(resolve));

  expect(written.reduce((sum, { length }) => sum + length, 0)).toBe(all);
  const kept: Buffer[] = [];
  let bytes = 0;
  for (const part of written) {
    if (bytes >= inFlight) kept.push(part);
    bytes += part.length;
  }
  expect(kept.length).toBeGreaterThan(60);
  for (const part of kept) expect(part.buffer.byteLength - part.length).toBeLessThanOrEqual(32 * kib);
  // Whole, and in order.
  const sent = Buffer.concat(sizes.map((size, at) => Buffer.alloc(size, at)));
  expect(Buffer.concat(written).equals(sent)).toBe(true);
});

const linkTo = (stream: Duplex): Link => new Link(stream, { dirty: () => {}, taken: () => {}, nowMs: () => 0 });
const settled = async (link: Link): Promise<void> => {
  while (link.queuedBytes > 0) await new Promise((resolve) => setImmediate(resolve));
};

test('one write is on its way at a time, however often it is flushed; the end hands over all the rest', () => {
  const { stream } = stuckStream();
  const link = linkTo(stream);
  link.send(Buffer.alloc(10));
  link.flush();
  for (let count = 0; count < 40; count++) link.send(Buffer.alloc(50 * kib));
  link.flush();
  link.flush();
  expect([link.writes, stream.writableLength]).toEqual([1, 10]);
  link.finish();
  expect([link.writes, stream.writableLength]).toEqual([2, 10 + 40 * 50 * kib]);
});

test('a write is at most 512 KiB and what its last part has over', async () => {
  const { stream, release, written } = stuckStream();
  const link = linkTo(stream);
  for (let count = 0; count < 40; count++) link.send(Buffer.alloc(50 * kib, count));
  link.flush();
  expect([link.writes, stream.writableLength]).toEqual([1, 11 * 50 * kib]);
  release();
  await settled(link);
  expect(link.writes).toBe(4);
  expect(written.map((part) => part[0])).toEqual(Array.from({ length: 40 }, (_, at) => at));
});

test('small frames are copied into one part, large ones leave as views of their chunk', async () => {
  const { stream, release, written } = stuckStream();
  const link = linkTo(stream);
  release();
  const large = Buffer.allocUnsafeSlow(2048).fill(1);
  const small = Buffer.allocUnsafeSlow(2047).fill(2);
  for (const frame of [large, small, small]) link.send(frame);
  small.fill(3); // its bytes were copied, the view of the large one was not
  large.fill(4);
  link.flush();
  await settled(link);
  expect(written.map((part) => [part[0], part.length])).toEqual([
    [4, 2048],
    [2, 4094],
  ]);
});
