/** How a client reaches its broker. */
import type { Duplex } from 'node:stream';
import type { Role } from '../protocol/schema.ts';
import { defaultSocket, parseAddress } from '../transport/address.ts';
import { dial } from '../transport/registry.ts';

export interface ConnectOptions {
  /**
   * Path of the broker's socket, or another address (`unix:PATH`). Default: `DEYE_SOCKET`, else where `deye broker start`
   * puts it; `deye.yaml` is not read.
   */
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

/** A connected stream, with any handshake of its transport behind it. Rejects with a TransportError. */
export async function openStream({ transport, socket }: ConnectOptions, timeoutMs: number): Promise<Duplex> {
  if (transport !== undefined) return transport();
  return dial(parseAddress(socket ?? defaultSocket()), { timeoutMs });
}
