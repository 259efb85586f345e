/** A broker that holds the state directory, as commands meet it: one that is stopping, or that listens elsewhere. */
import { type BrokerInfo, readBrokerInfo } from '../broker/broker-info.ts';
import type { Configuration, Overrides } from '../broker/configuration.ts';
import { type Found, findPlace } from '../configuration/place.ts';
import { shellQuoted } from '../text/shell.ts';
import { hint, type Reached } from './hint.ts';

/** An error of a start, with its code. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** It takes no more connections, and the process is still there. */
export class StoppingError extends Error {
  override readonly name = 'StoppingError';
  readonly code = 'broker_stopping';

  constructor({ pid, socket }: BrokerInfo, wait: string) {
    super(
      `The broker (pid ${pid}) on ${socket} is stopping: attempts in progress may finish. Wait until it is gone with: ${wait}`,
    );
  }
}

/** Why there is no answer on the socket, when it is the broker of this state directory that is stopping. */
export async function stoppingAt(socket: Found<string>, reached: Reached): Promise<StoppingError | undefined> {
  const place = await findPlace().catch(() => undefined); // a file that is wrong has nothing to add
  const info = place && readBrokerInfo(place.stateDir.value);
  if (info?.state !== 'stopping' || info.socket !== socket.value) return undefined;
  return new StoppingError(info, hint('deye broker stop', reached));
}

/** Why the broker that runs cannot stand for the one that was to be started; undefined when it can. */
export function conflict(
  info: BrokerInfo,
  { socket, stateDir }: Pick<Configuration, 'socket' | 'stateDir'>,
  { socket: flag, stateDir: directory, file }: Overrides,
): Error | undefined {
  const elsewhere = info.socket !== socket;
  const stop = hint('deye broker stop', {
    socket: elsewhere || flag !== undefined || file !== undefined ? info.socket : undefined,
  });
  const wait = directory === undefined && file === undefined ? stop : `${stop} --state-dir ${shellQuoted(stateDir)}`;
  if (info.state === 'stopping') return new StoppingError(info, wait);
  if (!elsewhere) return undefined;
  return new StartError(
    'already_running',
    `A broker (pid ${info.pid}) holds ${stateDir} already and listens on ${info.socket}, not on ${socket}. ` +
      `Use it with --socket ${shellQuoted(info.socket)}, stop it with: ${stop}, or start another with a --state-dir of its own.`,
  );
}
