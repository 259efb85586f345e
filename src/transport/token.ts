/**
 * The token handshake for transports that cannot be made private, such as a named pipe on Windows. Both sides read
 * the same secret from a file that only the user can open, and prove it to each other before the first frame:
 *
 *     client ── nonce c (32 bytes) ──▶ broker
 *     client ◀── nonce s ‖ HMAC(secret, "broker" ‖ c ‖ s) ── broker
 *     client ── HMAC(secret, "client" ‖ c ‖ s) ──▶ broker
 *
 * HMAC-SHA-256. The secret never travels, and a false pipe that was there first learns nothing it could use.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { TransportError } from './error.ts';

const size = 32;

const proof = (secret: Uint8Array, who: 'broker' | 'client', clientNonce: Buffer, brokerNonce: Buffer): Buffer =>
  createHmac('sha256', secret).update(who).update(clientNonce).update(brokerNonce).digest();

/** The client's half. Rejects when the other side does not know the secret or does not answer in `timeoutMs`. */
export async function proveAsClient(stream: Duplex, secret: Uint8Array, timeoutMs: number): Promise<void> {
  const clientNonce = randomBytes(size);
  stream.write(clientNonce);
  const answer = await readExactly(stream, 2 * size, timeoutMs);
  const brokerNonce = answer.subarray(0, size);
  if (!timingSafeEqual(answer.subarray(size), proof(secret, 'broker', clientNonce, brokerNonce)))
    throw wrongToken(stream);
  stream.write(proof(secret, 'client', clientNonce, brokerNonce));
}

/** The broker's half. Nothing of the session is read before it resolves. */
export async function proveAsBroker(stream: Duplex, secret: Uint8Array, timeoutMs: number): Promise<void> {
  const clientNonce = await readExactly(stream, size, timeoutMs);
  const brokerNonce = randomBytes(size);
  stream.write(Buffer.concat([brokerNonce, proof(secret, 'broker', clientNonce, brokerNonce)]));
  const answer = await readExactly(stream, size, timeoutMs);
  if (!timingSafeEqual(answer, proof(secret, 'client', clientNonce, brokerNonce))) throw wrongToken(stream);
}

function wrongToken(stream: Duplex): TransportError {
  stream.destroy();
  return new TransportError(
    'wrong_token',
    'The other end does not know the token of this user. Nothing was sent to it.',
  );
}

function readExactly(stream: Duplex, bytes: number, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const finish = (outcome: Buffer | Error) => {
      clearTimeout(timer);
      stream.off('readable', read);
      stream.off('end', ended);
      stream.off('close', ended);
      stream.off('error', ended);
      if (Buffer.isBuffer(outcome)) return resolve(outcome);
      stream.on('error', () => {}); // of a stream that is given up; the reason is in the outcome
      stream.destroy();
      reject(outcome);
    };
    const read = () => {
      const chunk = stream.read(bytes) as Buffer | null;
      if (chunk === null) return;
      if (chunk.length === bytes) finish(chunk);
      else finish(new TransportError('wrong_token', 'The other end closed the connection during the token handshake.'));
    };
    const ended = () =>
      finish(new TransportError('wrong_token', 'The other end closed the connection during the token handshake.'));
    const timer = setTimeout(
      () => finish(new TransportError('wrong_token', `The token handshake took longer than ${timeoutMs} ms.`)),
      timeoutMs,
    );
    stream.on('readable', read);
    stream.on('end', ended);
    stream.on('close', ended);
    stream.on('error', ended); // a reset is a hang-up, and nothing else listens yet
    read();
  });
}
