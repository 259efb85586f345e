/** The broker as a process, seen from a command: asking it to stop and seeing it go, waiting for its collectors. */
import type { Client } from '../client/client.ts';
import type { CollectorView } from '../protocol/schema.ts';
import { isAlive } from '../supervisor/alive.ts';

/** Hard end of a graceful stop. */
const stopMs = 75_000;

/** Asks the broker to stop and resolves with its pid when the process is gone. */
export async function stopBroker(
  client: Client,
  type: 'graceful' | 'immediate',
  progress: (text: string) => void,
): Promise<number> {
  const { broker, queues } = await client.request('broker.snapshot', {});
  const { pid } = broker;
  const running = queues.reduce((sum, { in_progress }) => sum + in_progress, 0);
  if (running > 0 && type === 'graceful') progress(`${running} attempts in progress may finish, for up to 30 s`);
  const closed = new Promise<void>((resolve) => client.onState((state) => state === 'closed' && resolve()));
  await client.request('broker.shutdown', { type, reason: 'deye broker stop' });
  await closed;
  for (const untilMs = Date.now() + stopMs; isAlive(pid); await pause(20))
    if (Date.now() > untilMs)
      throw new Error(`The broker (pid ${pid}) is still there after ${stopMs / 1000} s. End it with: kill ${pid}`);
  return pid;
}

/** Starts the declared collectors that are down. */
export async function startStopped(client: Client): Promise<void> {
  const { collectors } = await client.request('collector.list', {});
  for (const { collector_id, supervised, status, pid } of collectors)
    if (supervised && pid === 0 && (status === 'stopped' || status === 'quarantined'))
      await client.request('collector.start', { collector_id });
}

/** Resolves when no collector is starting any more, or with what is still starting when the time is over. */
export async function settledCollectors(
  client: Client,
  timeoutMs: number,
  progress: (starting: readonly string[]) => void,
): Promise<CollectorView[]> {
  for (const untilMs = Date.now() + timeoutMs; ; await pause(50)) {
    const { collectors } = await client.request('collector.list', {});
    const starting = collectors.filter(({ status }) => status === 'starting').map(({ collector_id }) => collector_id);
    if (starting.length === 0 || Date.now() > untilMs) return collectors;
    progress(starting);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
