/** The sessions of a broker: admission, and the end of those that are silent or do not read. */
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type ClosingCode, type Fault, fault } from '../protocol/fault.ts';
import { encodeFrame, Kind } from '../protocol/frame.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Peer } from '../relay/peer.ts';
import type { Relay } from '../relay/relay.ts';
import type { PeerIdentity } from '../transport/port.ts';
import type { Loop } from './loop.ts';
import { Session, type SessionHost } from './session.ts';

export class Sessions {
  readonly #open = new Map<number, Session>();
  readonly #limits: Limits;
  readonly #log: Logger;
  readonly #loop: Loop;
  readonly #relay: Relay;
  readonly #host: SessionHost;
  #nextId = 1;
  #closing: Fault<ClosingCode> | undefined;
  /** Sessions that broke the protocol. */
  broken = 0;

  constructor(host: SessionHost, loop: Loop, log: Logger) {
    this.#host = host;
    this.#limits = host.limits;
    this.#relay = host.relay;
    this.#loop = loop;
    this.#log = log;
  }

  get size(): number {
    return this.#open.size;
  }

  get(id: number): Session | undefined {
    return this.#open.get(id);
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#open.values();
  }

  /** Takes over a connected stream. Beyond the connection limit it gets a goodbye (`busy`) and is closed. */
  accept(stream: Duplex, identity: PeerIdentity): void {
    const session = new Session(this.#nextId++, stream, identity, this.#host);
    const { connectionsMax, handshakeMs } = this.#limits;
    if (this.#closing !== undefined) return session.end(this.#closing);
    if (this.#open.size >= connectionsMax)
      return session.end(
        fault('busy', `${this.#open.size} connections are open, the limit.`, {
          retry_after_ms: 1000,
          limit: connectionsMax,
        }),
      );
    this.#open.set(session.id, session);
    this.#loop.after(handshakeMs, () => {
      if (session.state === 'greeting') session.end(fault('hello_timeout', `No hello came within ${handshakeMs} ms.`));
    });
  }

  /** From now on every new session is ended with this reason. */
  close(reason: Fault<ClosingCode>): void {
    this.#closing = reason;
  }

  endAll(reason: Fault<ClosingCode>): void {
    for (const session of [...this.#open.values()]) session.end(reason);
  }

  opened(session: Session): void {
    this.#log.debug({ ...this.#about(session), peer: session.principal.peer }, 'session opened');
    this.#watchIdle(session);
  }

  /** False when it was never admitted. */
  closed(session: Session, why: string): boolean {
    if (!this.#open.delete(session.id)) return false;
    this.#log.debug({ ...this.#about(session), dropped: session.peer.dropped, why }, 'session closed');
    return true;
  }

  protocolBroken(session: Session, { code, message }: Fault): void {
    this.broken++;
    this.#log.warn(
      { ...this.#about(session), code, reason: message },
      'a session violated the protocol and was closed',
    );
  }

  /** The peer is over its limit: it is ended by name when it still is after the grace. */
  watchSlow(peer: Peer): void {
    const { slowGraceMs } = this.#limits;
    // A peer holds until half of what is kept for it has left, so one that still does has not read that much.
    const isStillHolding = this.#relay.holds.since(peer);
    this.#loop.after(slowGraceMs, () => {
      const session = this.#open.get(peer.session);
      if (session !== undefined && isStillHolding()) this.#endSlow(session);
    });
  }

  /** Answers wait for the session: it is ended by name when it takes nothing for the grace. */
  watchUnread(session: Session): void {
    const { slowGraceMs } = this.#limits;
    const { link } = session.peer;
    const takenAtMs = link.takenAtMs;
    this.#loop.after(slowGraceMs, () => {
      if (session.state === 'closed' || !session.reads.isBlocked) return;
      if (link.takenAtMs === takenAtMs) this.#endSlow(session);
      else this.watchUnread(session);
    });
  }

  #endSlow(session: Session): void {
    const { slowGraceMs } = this.#limits;
    const { queuedBytes } = session.peer.link;
    this.#log.warn({ ...this.#about(session), queued_bytes: queuedBytes }, 'slow consumer disconnected');
    const { name } = session.principal;
    const message = `The session "${name}" did not read what was sent to it for ${slowGraceMs} ms; ${queuedBytes} bytes wait.`;
    session.end(fault('slow_consumer', message, { queued_bytes: queuedBytes }));
  }

  #watchIdle(session: Session): void {
    const { pingMs, idleMs } = this.#limits;
    let silentMs = 0;
    const look = (): void => {
      if (session.state === 'closed') return;
      silentMs = session.active ? 0 : silentMs + pingMs;
      session.active = false;
      if (silentMs >= idleMs)
        return session.end(fault('idle_timeout', `Nothing came for ${silentMs} ms, not even a pong.`));
      // One that is held back is not read, so its silence means nothing.
      if (session.isHeldBack) silentMs = 0;
      else if (silentMs > 0) session.send(encodeFrame([Kind.ping, silentMs]));
      this.#loop.after(pingMs, look);
    };
    this.#loop.after(pingMs, look);
  }

  #about(session: Session): Record<string, unknown> {
    const { name, version, role } = session.principal;
    return { component: 'session', session: session.publicId, name, version, role };
  }
}
