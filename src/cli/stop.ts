/** Stopping the broker of this place, also one whose socket is gone: it still holds its state directory. */
import { type BrokerInfo, readBrokerInfo } from '../broker/broker-info.ts';
import { loadConfiguration, type Overrides } from '../broker/configuration.ts';
import type { Client } from '../client/client.ts';
import { isAlive } from '../supervisor/alive.ts';
import { TransportError } from '../transport/error.ts';
import { gone, pause, stopBroker, stopWithinMs } from './broker-process.ts';
import { StoppingError } from './held.ts';
import { checkSameBroker } from './same-broker.ts';

interface StopWays {
  readonly connect: (socket: string) => Promise<Client>;
  /** Gets what there is to know while it stops. */
  readonly note: (text: string) => void;
}

/** A broker makes its socket again within a second. */
const returnMs = 2000;
/** Two signals that come together count as one. */
const signalPauseMs = 100;

/** Resolves with the pid when the process is gone. Rejects with `broker_not_running` when there is none. */
export async function stopAt(place: Overrides, type: 'graceful' | 'immediate', ways: StopWays): Promise<number> {
  const { socket: configured, stateDir, limits, origins, namedBy } = await loadConfiguration(place);
  const socket = namedBy === 'state-dir' ? socketOn(stateDir) : configured;
  try {
    const client = await ways.connect(socket);
    if (namedBy === 'both')
      await checkSameBroker(client, {
        socket: { value: socket, origin: origins.get('socket')! },
        stateDir: { value: stateDir, origin: origins.get('state_dir')! },
      });
    return await stopBroker(client, type, ways.note);
  } catch (error) {
    const info = isUnreachable(error) ? readBrokerInfo(stateDir) : undefined;
    // A socket that was named means the broker behind it, and no other.
    if (info === undefined || (namedBy !== 'default' && info.socket !== socket)) throw error;
    if (info.state === 'stopping') {
      const attempts = type === 'immediate' ? 'attempts in progress are given up' : 'attempts in progress may finish';
      ways.note(`The broker (pid ${info.pid}) is stopping already; ${attempts}.`);
      if (type === 'immediate') await hurry(info.pid);
      await gone(info.pid, stopWithinMs(limits.stopGraceMs));
      return info.pid;
    }
    const client = await reach(info, ways);
    if (client !== undefined) return stopBroker(client, type, ways.note);
    ways.note(
      `The broker (pid ${info.pid}) holds ${stateDir} but cannot be reached on ${info.socket}: it gets SIGTERM.`,
    );
    process.kill(info.pid, 'SIGTERM');
    await gone(info.pid, stopWithinMs(limits.stopGraceMs));
    return info.pid;
  }
}

/** Of the broker that holds the state directory that decides; a fault when none does. Another is never stopped instead. */
function socketOn(stateDir: string): string {
  const info = readBrokerInfo(stateDir);
  if (info !== undefined) return info.socket;
  throw new TransportError('broker_not_running', `No broker holds the state directory ${stateDir}.`);
}

/** It no longer listens, but a second signal ends it at once. What was accepted is on the disk. */
async function hurry(pid: number): Promise<void> {
  for (let signals = 0; signals < 2 && isAlive(pid); signals++) {
    process.kill(pid, 'SIGTERM');
    await pause(signalPauseMs);
  }
}

/** Undefined when it does not listen again in time. */
async function reach({ socket }: BrokerInfo, { connect }: StopWays): Promise<Client | undefined> {
  for (const untilMs = performance.now() + returnMs; ; await pause(50))
    try {
      return await connect(socket);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      if (performance.now() > untilMs) return undefined;
    }
}

/** Nothing answers there, or what is there is no socket of deye. */
const isUnreachable = (error: unknown): boolean =>
  error instanceof StoppingError || (error instanceof TransportError && error.code !== 'bad_address');
