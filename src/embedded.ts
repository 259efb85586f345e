/** A broker inside the caller's process. */
import type { Logger } from 'pino';
import { loadConfiguration } from './broker/configuration.ts';
import { type RunningBroker, startBroker as start } from './broker/start.ts';
import type { LimitName } from './protocol/limits.ts';

export interface EmbeddedOptions {
  /** Listens on this path; `false` for no socket at all. Default: where `deye broker start` would. */
  readonly socket?: string | false;
  /** Keeps tasks here; `false` remembers nothing. Default: where `deye broker start` would. */
  readonly stateDir?: string | false;
  readonly limits?: Partial<Record<LimitName, number>>;
  readonly log?: Logger;
  /** A commit failed and nothing may be acknowledged any more. Default: an uncaught exception. */
  readonly onFatal?: (error: Error) => void;
}

/** Starts a broker. `connect({ transport: broker.open })` leads in without a socket. */
export async function startBroker(options: EmbeddedOptions = {}): Promise<RunningBroker> {
  const { socket, stateDir, limits = {}, log, onFatal } = options;
  const loaded = await loadConfiguration({
    ...(typeof socket === 'string' ? { socket } : {}),
    ...(typeof stateDir === 'string' ? { stateDir } : {}),
  });
  return start({
    configuration: { ...loaded, limits: { ...loaded.limits, ...limits } },
    ...(stateDir === false ? { store: 'memory:', state: false } : {}),
    socket: socket !== false,
    ...(log === undefined ? {} : { log }),
    ...(onFatal === undefined ? {} : { fatal: onFatal }),
  });
}
