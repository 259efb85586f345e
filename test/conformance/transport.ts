/** What every transport must do. `place` gives a new address, with nobody on it, for each test. */
import type { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import type { Address, Listener, ListenHandler, Scheme } from '../../src/transport/port.ts';
import { dial, listen } from '../../src/transport/registry.ts';
import { until } from '../until.ts';

type Peer = Parameters<ListenHandler['accept']>[1];

interface Ends extends AsyncDisposable {
  readonly client: Duplex;
  readonly broker: Duplex;
  readonly peer: Peer;
}

/** Everything that comes, as one text, and whether the end was seen. */
class Sink {
  text = '';
  ended = false;
  closed = false;
  constructor(stream: Duplex) {
    stream.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    stream.on('end', () => (this.ended = true));
    stream.on('close', () => (this.closed = true));
    stream.on('error', () => {});
  }
}

export function transportConformance<S extends Scheme>(place: () => Address<S>, proof: Peer['proof']): void {
  const timeoutMs = 5000;

  async function ends(): Promise<Ends> {
    const address = place();
    const accepted = Promise.withResolvers<[Duplex, Peer]>();
    const listener = await listen(address, {
      accept: (stream, peer) => accepted.resolve([stream, peer]),
      failed: accepted.reject,
      handshakeMs: timeoutMs,
    });
    const client = await dial(address, { timeoutMs });
    const [broker, peer] = await accepted.promise;
    return {
      client,
      broker,
      peer,
      async [Symbol.asyncDispose]() {
        client.destroy();
        broker.destroy();
        await listener.close();
      },
    };
  }

  /** Writes numbered lines until `bytes` are written, as fast as the window lets it. */
  async function writeLines(stream: Duplex, bytes: number): Promise<string> {
    let written = '';
    for (let at = 0; written.length < bytes; at++) {
      const line = `${at} ${'x'.repeat(at % 4096)}\n`;
      written += line;
      if (!stream.write(line)) await new Promise((resolve) => stream.once('drain', resolve));
    }
    return written;
  }

  test('the accepting end knows the transport and why the peer is trusted', async () => {
    const address = place();
    await using both = await ends();
    expect(both.peer).toEqual({ scheme: address.scheme, proof });
  });

  test('delivers in order and without a gap, both ways at once, up to the end', async () => {
    await using both = await ends();
    const [atBroker, atClient] = [new Sink(both.broker), new Sink(both.client)];
    const [up, down] = await Promise.all(
      [both.client, both.broker].map(async (end) => {
        const text = await writeLines(end, 4 * 1024 * 1024);
        end.end();
        return text;
      }),
    );
    await until(() => atBroker.closed && atClient.closed, 'both ends have closed');
    expect(atBroker.text === up).toBe(true);
    expect(atClient.text === down).toBe(true);
    expect([atBroker.ended, atClient.ended]).toEqual([true, true]);
  });

  test('the window is bounded: a peer that does not read makes write return false, and nothing is lost', async () => {
    await using both = await ends();
    const chunk = Buffer.alloc(16 * 1024, 'a');
    let written = 0;
    // Until it has been full for a while with nobody reading: what the system itself holds is full, too.
    for (let full = 0; full < 20; await new Promise((resolve) => setImmediate(resolve))) {
      if (both.client.writableNeedDrain) {
        full++;
        continue;
      }
      full = 0;
      both.client.write(chunk);
      written += chunk.length;
      expect(written).toBeLessThan(64 * 1024 * 1024);
    }
    const sink = new Sink(both.broker);
    await until(() => sink.text.length === written, 'all of it came');
    both.client.end('the end');
    await until(() => sink.ended, 'the end came');
    expect(sink.text.endsWith('athe end')).toBe(true);
  });

  test.each(['client', 'broker'] as const)('when the %s closes, the other end sees it', async (which) => {
    await using both = await ends();
    const other = new Sink(which === 'client' ? both.broker : both.client);
    both[which].destroy();
    await until(() => other.closed, 'the other end closed');
  });

  test('nobody there: broker_not_running', async () => {
    await expect(dial(place(), { timeoutMs })).rejects.toMatchObject({
      name: 'TransportError',
      code: 'broker_not_running',
      message: expect.stringMatching(/^No broker/),
    });
  });

  test('a listener that was closed refuses, frees its address, and leaves open streams alone', async () => {
    const address = place();
    const accepted: Duplex[] = [];
    const handler = {
      accept: (stream: Duplex) => void accepted.push(stream.resume()),
      failed: () => {},
      handshakeMs: 5000,
    };
    const first: Listener = await listen(address, handler);
    const client = await dial(address, { timeoutMs });
    await until(() => accepted.length === 1, 'it is accepted');
    const closed = first.close();
    await expect(dial(address, { timeoutMs })).rejects.toMatchObject({ code: 'broker_not_running' });
    const sink = new Sink(client);
    accepted[0]!.write('still here');
    await until(() => sink.text === 'still here', 'the open stream goes on');
    const second = await listen(address, handler);
    client.destroy();
    await closed;
    (await dial(address, { timeoutMs })).destroy();
    await second.close();
  });

  test('many at once: each has its own answer', async () => {
    const address = place();
    await using _listener = await listen(address, {
      accept: (stream) => void stream.on('error', () => {}).pipe(stream),
      failed: () => {},
      handshakeMs: 20_000,
    });
    const answers = await Promise.all(
      Array.from({ length: 300 }, async (_, at) => {
        const stream = await dial(address, { timeoutMs: 20_000 });
        const sink = new Sink(stream);
        stream.end(`number ${at}`);
        await until(() => sink.closed, 'closed');
        return sink.text;
      }),
    );
    expect(answers).toEqual(Array.from({ length: 300 }, (_, at) => `number ${at}`));
  });
}
