/** How a client reaches its broker. */
import type { Duplex } from 'node:stream';
import { findSocket } from '../configuration/place.ts';
import type { Role } from '../protocol/schema.ts';
import { parseAddress } from '../transport/address.ts';
import type { Address } from '../transport/port.ts';
import { dial } from '../transport/registry.ts';

export interface ConnectOptions {
  /**
   * Path of the broker's socket, or another address (`unix:PATH`). Default: as for every command, `DEYE_SOCKET`, else
   * `socket` in the `deye.yaml` of the working directory or of the user, else where `deye broker start` puts it.
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

/**
 * Opens one connected stream after the other, with any handshake of its transport behind it. Where the broker is is
 * found once: a client comes back to the broker that it had. Rejects with a TransportError or a ConfigurationError.
 */
export function streamOpener({ transport, socket }: ConnectOptions): (timeoutMs: number) => Promise<Duplex> {
  let address: Address | undefined;
  return async (timeoutMs) => {
    if (transport !== undefined) return transport();
    address ??= parseAddress(socket ?? (await findSocket()).value);
    return dial(address, { timeoutMs });
  };
}
