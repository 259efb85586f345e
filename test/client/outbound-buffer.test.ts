import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { OutboundBuffer } from '../../src/client/outbound-buffer.ts';

test('what waits for room leaves in its order, and nothing overtakes it', () => {
  let release = (): void => {};
  const stream = new Duplex({
    writableHighWaterMark: 1024,
    read: () => {},
    writev: (_chunks, done) => {
      release = done;
    },
  });
  const buffer = new OutboundBuffer(stream);
  const sent: string[] = [];
  const fail = (): void => {};
  const send = (name: string, bytes = 10) => ({
    run: () => {
      sent.push(name);
      stream.write(Buffer.alloc(bytes));
    },
  });
  buffer.whenRoom(send('first', 17 * 1024 * 1024).run, fail);
  // The one that waits fills the buffer again while it is emptied: those behind it go on waiting.
  buffer.whenRoom(send('second', 17 * 1024 * 1024).run, fail);
  buffer.whenRoom(send('third').run, fail);
  expect(sent).toEqual(['first']);
  release();
  stream.emit('drain');
  expect(sent).toEqual(['first', 'second']);
  Object.defineProperty(stream, 'writableLength', { get: () => 0 });
  // There is room by now, but the third one came before.
  buffer.whenRoom(send('fourth').run, fail);
  expect(sent).toEqual(['first', 'second']);
  stream.emit('drain');
  expect(sent).toEqual(['first', 'second', 'third', 'fourth']);
});
