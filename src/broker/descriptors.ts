/**
 * Connections and the descriptors of the process. Beyond its descriptors the system accepts a connection and closes it
 * in silence, so the broker stays below them and answers `busy` by itself. A connection that is refused is held until
 * its hello has come, since a client that writes to a closed connection may never read why; when too many are held, the
 * oldest goes.
 */
import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { fault } from '../protocol/fault.ts';
import { encodeFrame, Kind } from '../protocol/frame.ts';
import type { Limits } from '../protocol/limits.ts';
import type { ListenHandler, PeerIdentity } from '../transport/port.ts';

/** Descriptors that are not connections: store, log, threads, and some air. */
const reserved = 40;
/** For each child its two outputs, and what starting one takes. */
const reservedPerChild = 4;
const connectionsMin = 8;

/** The connection limit, lowered to what the system lets this process open. */
export function withinDescriptors(limits: Limits, children: number, log: Logger): Limits {
  const most = openFilesMax() - reserved - children * reservedPerChild - limits.busyHeldMax;
  if (limits.connectionsMax <= most) return limits;
  const connectionsMax = Math.max(connectionsMin, most);
  log.warn(
    { component: 'broker', wanted: limits.connectionsMax, connections_max: connectionsMax },
    'the limit of open files lowers the connection limit; raise it with ulimit -n',
  );
  return { ...limits, connectionsMax };
}

function openFilesMax(): number {
  if (process.platform !== 'linux') return Number.POSITIVE_INFINITY;
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return Number(limit ?? Number.POSITIVE_INFINITY);
}

/** Admits streams up to the connection limit and refuses the others with `busy`. */
export class ConnectionGate {
  readonly #connectionsMax: number;
  readonly #heldMax: number;
  readonly #holdMs: number;
  readonly #refusal: Buffer;
  readonly #accept: ListenHandler['accept'];
  readonly #held = new Set<Duplex>();
  #open = 0;

  constructor({ connectionsMax, busyHeldMax, handshakeMs }: Limits, accept: ListenHandler['accept']) {
    this.#connectionsMax = connectionsMax;
    this.#heldMax = busyHeldMax;
    this.#holdMs = handshakeMs;
    this.#accept = accept;
    const message = `${connectionsMax} connections are open, the limit.`;
    const reason = fault('busy', message, { retry_after_ms: 1000, limit: connectionsMax });
    this.#refusal = encodeFrame([Kind.goodbye, reason]);
  }

  admit(stream: Duplex, identity: PeerIdentity): void {
    if (this.#open >= this.#connectionsMax) return this.#refuse(stream);
    this.#open++;
    stream.once('close', () => this.#open--);
    this.#accept(stream, identity);
  }

  /** A socket takes the one write at once, so it may be closed at any time after it. */
  #refuse(stream: Duplex): void {
    const release = (): void => void stream.destroy();
    const timer = setTimeout(release, this.#holdMs).unref();
    this.#held.add(stream);
    stream.once('close', () => {
      clearTimeout(timer);
      this.#held.delete(stream);
    });
    stream.on('error', () => {}); // it went away by itself, which is as well
    stream.write(this.#refusal);
    stream.once('data', release).once('end', release);
    if (this.#held.size <= this.#heldMax) return;
    const [oldest] = this.#held;
    if (oldest === undefined) return;
    this.#held.delete(oldest);
    oldest.destroy();
  }
}
