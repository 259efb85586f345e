/** How a client reaches its broker. */
import type { Duplex } from 'node:stream';
import type { Role } from '../protocol/schema.ts';
import { defaultSocket, defaultStateDir } from '../transport/address.ts';
import { connectSocket } from '../transport/connect.ts';
import { readPipeIdentity } from '../transport/pipe.ts';
import { proveAsClient } from '../transport/token.ts';

export interface ConnectOptions {
  /** Path of the broker's socket. Default: where `deye broker start` puts it. */
  readonly socket?: string;
  /** How this program is called in logs and in `deye top`. Default: the name of its script. */
  readonly name?: string;
  readonly version?: string;
  /** `observer` may only look; `collector` is for the SDK. Default `operator`. */
  readonly role?: Role;
  /** False: a lost connection is the end. Default true. */
  readonly reconnect?: boolean;
  /** Gives a connected stream, instead of a socket: the `open()` of an embedded broker. */
  readonly transport?: () => Duplex | Promise<Duplex>;
  /** How long to wait for the broker's welcome, in ms. Default 5,000. */
  readonly timeoutMs?: number;
}

/** A connected stream, on Windows with the token handshake behind it. Rejects with a TransportError. */
export async function openStream({ transport, socket }: ConnectOptions, timeoutMs: number): Promise<Duplex> {
  if (transport !== undefined) return transport();
  if (process.platform !== 'win32') return connectSocket(socket ?? defaultSocket());
  const pipe = readPipeIdentity(defaultStateDir());
  const stream = await connectSocket(socket ?? pipe.address);
  await proveAsClient(stream, pipe.secret, timeoutMs);
  return stream;
}
