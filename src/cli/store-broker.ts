/**
 * Which store the commands mean that ask its broker when one runs and work on the files when none does. A socket that
 * decides must have a broker; on a state directory that decides one may run.
 */
import { readBrokerInfo } from '../broker/broker-info.ts';
import type { Client } from '../client/client.ts';
import { type FoundPlace, findPlace } from '../configuration/place.ts';
import { stateDirectoryOf } from '../store/layout.ts';
import { TransportError } from '../transport/error.ts';
import { UsageError } from './error.ts';
import { checkSameBroker } from './same-broker.ts';
import { StoreInUseError, stateDirectoryAt } from './state-directory.ts';

export interface StoreFlags {
  readonly socket?: string | undefined;
  readonly 'state-dir'?: string | undefined;
}

export type Connect = (
  flags: { readonly socket?: string | undefined },
  how?: { readonly advice?: string },
) => Promise<Client>;

/** Of the broker that runs on it, or at rest in a state directory. */
type FoundStore = { readonly broker: Client } | { readonly broker?: undefined; readonly stateDirectory: string };

const advice = 'Name the state directory of a store at rest with: --state-dir DIR';

export async function findStore(flags: StoreFlags, connect: Connect): Promise<FoundStore> {
  const place = await findPlace({ socket: flags.socket, stateDir: flags['state-dir'] });
  if (place.namedBy === 'socket') return { broker: await connect(flags, { advice }) };
  const named = place.namedBy === 'both' ? await brokerOfBoth(place, connect) : undefined;
  if (named !== undefined) return { broker: named };
  const stateDirectory = stateDirectoryAt(place.stateDir.value);
  const info = readBrokerInfo(stateDirectory);
  if (info?.state === 'starting')
    throw new StoreInUseError(
      `A broker (pid ${info.pid}) is starting on ${stateDirectory}. Try again when it is ready.`,
    );
  return info === undefined ? { stateDirectory } : { broker: await connect({ socket: info.socket }) };
}

/** Undefined when none runs behind the socket: the state directory says all that is needed. */
async function brokerOfBoth(place: FoundPlace, connect: Connect): Promise<Client | undefined> {
  try {
    const broker = await connect({ socket: place.socket.value });
    await checkSameBroker(broker, place);
    return broker;
  } catch (error) {
    if (error instanceof TransportError && error.code === 'broker_not_running') return undefined;
    throw error;
  }
}

/** The same, for a command that reads the files in any case. */
export async function findStateDirectory(given: string | undefined, connect: Connect): Promise<string> {
  const { namedBy, stateDir, socket } = await findPlace({ stateDir: given });
  if (namedBy !== 'socket') return stateDirectoryAt(stateDir.value);
  const { directory } = await (await connect({}, { advice })).request('store.status', {});
  if (directory !== undefined) return stateDirectoryOf(directory);
  throw new UsageError(`The broker on ${socket.value} (${socket.origin}) keeps its tasks in memory. ${advice}`);
}
