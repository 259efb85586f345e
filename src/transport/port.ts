/**
 * The port to whatever carries bytes between a client and its broker. A transport delivers in order and without a gap,
 * or closes; its window is bounded (`write` returns false for a peer that does not read); each end sees the other close.
 */
import type { Duplex } from 'node:stream';

interface AddressFields {
  /** A Unix socket in a directory that only its owner may enter. */
  readonly unix: { readonly path: string };
  /** A named pipe whose name follows from the token in this directory; both ends prove that they can read it. */
  readonly pipe: { readonly directory: string };
  /** Within one process. */
  readonly memory: { readonly name: string };
}

export type Scheme = keyof AddressFields;
export type Address<S extends Scheme = Scheme> = { [K in S]: { readonly scheme: K } & AddressFields[K] }[S];

/** The other end of an accepted stream, and why it is taken for a program of the same user. */
export interface PeerIdentity {
  readonly scheme: Scheme;
  readonly proof: 'directory' | 'token' | 'process';
}

export interface ListenHandler {
  /** One stream per connection; nothing of it has been read. */
  readonly accept: (stream: Duplex, peer: PeerIdentity) => void;
  /** The listener goes on, but something is wrong: one connection failed, or its socket was removed. */
  readonly failed: (error: Error) => void;
  /** How long a connection may take to prove itself, where the transport requires a proof. */
  readonly handshakeMs: number;
}

export interface Listener extends AsyncDisposable {
  readonly address: Address;
  /** Accepts nothing more and frees the address; streams that are open go on. Resolves when they have closed. */
  close(): Promise<void>;
}

export interface DialOptions {
  /** How long the connection and its handshake may take. */
  readonly timeoutMs: number;
}

export interface Transport<S extends Scheme = Scheme> {
  readonly scheme: S;
  /** Rejects with a TransportError. */
  listen(address: Address<S>, handler: ListenHandler): Promise<Listener>;
  /** Rejects with a TransportError; with `broker_not_running` when there is no listener. */
  dial(address: Address<S>, options: DialOptions): Promise<Duplex>;
}
