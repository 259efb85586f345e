/** A collector's registration: what it can do, and which attempts it may go on with after a reconnect. */
import { hostname } from 'node:os';
import type { RequestNow } from '../client/client.ts';
import type { Heartbeat, Registration } from '../protocol/collector-schema.ts';
import { FaultError } from '../protocol/fault.ts';
import type { Reply } from '../protocol/message.ts';
import type { Lease } from '../protocol/schema.ts';
import type { CollectorDefinition } from './define.ts';
import { keyOf } from './running-attempts.ts';

const retryMs = 250;
const retries = 40;

export function registrationOf(
  id: string,
  definition: CollectorDefinition,
  status: Pick<Heartbeat, 'status' | 'status_reason'>,
  leases: readonly Lease[],
): Registration {
  const {
    type,
    version = '0',
    operations,
    capabilities = [],
    eventDomains = [],
    labels = {},
    maxConcurrentTasks = 1,
    weight = 1,
    priorityLevels = [[0, 255]],
  } = definition;
  return {
    collector_id: id,
    collector_type: type,
    version,
    hostname: hostname(),
    pid: process.pid,
    operations: Object.keys(operations).map((name) => ({ name })),
    capabilities: [...capabilities],
    event_domains: [...eventDomains],
    labels: { ...labels },
    max_concurrent_tasks: maxConcurrentTasks,
    weight,
    priority_levels: priorityLevels.map(([low, high]) => [low, high]),
    ...status,
    leases: [...leases],
  };
}

/** An id may still be held by this collector's own lost connection; it is free as soon as the broker notices. */
export async function register(request: RequestNow, registration: Registration): Promise<Reply<'collector.register'>> {
  for (let left = retries; ; left--) {
    try {
      return await request('collector.register', registration);
    } catch (error) {
      const own =
        error instanceof FaultError &&
        error.code === 'id_taken' &&
        (error.context.pid === process.pid || process.env.DEYE_SUPERVISED === '1');
      if (!own || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}

/** The leases that were claimed and not given back. Those that were assigned since the claim are not among them. */
export function notReclaimed(claimed: readonly Lease[], reclaimed: readonly Lease[]): Lease[] {
  const reclaimedKeys = new Set(reclaimed.map(keyOf));
  return claimed.filter((lease) => !reclaimedKeys.has(keyOf(lease)));
}
