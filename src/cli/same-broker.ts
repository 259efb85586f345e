/** Whether a socket and a state directory that were named together are of one broker. */
import { readBrokerInfo } from '../broker/broker-info.ts';
import type { Client } from '../client/client.ts';
import type { FoundPlace } from '../configuration/place.ts';
import { addressOf, directoryOf } from '../protocol/store-address.ts';
import { storeIn } from '../store/layout.ts';
import { UsageError } from './error.ts';

/** Throws a UsageError when the broker behind the socket is not the one on the state directory. */
export async function checkSameBroker(
  client: Client,
  { socket, stateDir }: Pick<FoundPlace, 'socket' | 'stateDir'>,
): Promise<void> {
  const { broker } = await client.request('broker.snapshot', {});
  const info = readBrokerInfo(stateDir.value);
  if (info?.pid === broker.pid && info.socket === broker.socket) return;
  if (broker.store === addressOf(storeIn(stateDir.value))) return; // what it announced was removed
  const where = directoryOf(broker.store) ?? 'memory';
  throw new UsageError(
    `The broker on ${socket.value} (${socket.origin}) keeps its tasks in ${where}, not in the state directory ${stateDir.value} (${stateDir.origin}). Name only one of the two, or both of one broker.`,
  );
}
