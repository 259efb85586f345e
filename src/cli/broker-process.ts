/** The broker as a process, seen from a command: stopping it and seeing it go, waiting for its collectors. */
import type { Client } from '../client/client.ts';
import type { CollectorView } from '../protocol/collector-schema.ts';
import { isAlive } from '../supervisor/alive.ts';
import { duration } from '../text/quantity.ts';
import { allCollectors } from './collector-pages.ts';

/** What a stop takes beside the grace, which its collectors and then the attempts of others may use up. */
const stopMs = 15_000;
export const stopWithinMs = (graceMs: number): number => 2 * graceMs + stopMs;

/** Requests the broker to stop and resolves with its pid when the process is gone. */
export async function stopBroker(
  client: Client,
  type: 'graceful' | 'immediate',
  progress: (text: string) => void,
): Promise<number> {
  const { broker, in_progress } = await client.request('broker.snapshot', {});
  const { pid, stop_grace_ms } = broker;
  if (in_progress > 0 && type === 'graceful')
    progress(
      `${in_progress} ${in_progress === 1 ? 'attempt' : 'attempts'} in progress may finish, for up to ${duration(stop_grace_ms)}`,
    );
  const closed = new Promise<void>((resolve) => client.onState((state) => state === 'closed' && resolve()));
  await client.request('broker.shutdown', { type, reason: 'deye broker stop' });
  await closed;
  await gone(pid, stopWithinMs(type === 'graceful' ? stop_grace_ms : 0));
  return pid;
}

/** Resolves when the process is gone. */
export async function gone(pid: number, withinMs: number): Promise<void> {
  for (const untilMs = performance.now() + withinMs; isAlive(pid); await pause(20))
    if (performance.now() > untilMs)
      throw new Error(
        `The broker (pid ${pid}) is still there after ${duration(withinMs)}. End it with: kill -9 ${pid}`,
      );
}

/** Starts the declared collectors that are down. */
export async function startStopped(client: Client): Promise<void> {
  for (const { collector_id, supervised, status, pid } of await allCollectors(client))
    if (supervised && pid === 0 && (status === 'stopped' || status === 'quarantined'))
      await client.request('collector.start', { collector_id });
}

/** Resolves when no collector is starting any more, or with what is still starting when the time is over. */
export async function settledCollectors(
  client: Client,
  timeoutMs: number,
  progress: (starting: readonly string[]) => void,
): Promise<CollectorView[]> {
  for (const untilMs = performance.now() + timeoutMs; ; await pause(50)) {
    const collectors = await allCollectors(client);
    const starting = collectors.filter(({ status }) => status === 'starting').map(({ collector_id }) => collector_id);
    if (starting.length === 0 || performance.now() > untilMs) return collectors;
    progress(starting);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
