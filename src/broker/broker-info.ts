/** What the broker that holds a state directory announces in it: who it is, where it listens, whether it stops. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { lookFor, type ProcessIdentity } from '../supervisor/identity.ts';

const infoSchema = z.object({
  pid: z.number().int().min(1),
  /** The start of the process, since a pid is used again. */
  process_started: z.string().optional(),
  /** Which directory it announces this in: a copy of that is another one. */
  directory: z.string().optional(),
  socket: z.string(),
  /** The file that it logs to; none in the foreground. */
  log: z.string().optional(),
  version: z.string(),
  started_at_ms: z.number(),
  /** It listens only while it is running, and holds the lock all the time. */
  state: z.enum(['starting', 'running', 'stopping']).default('running'),
});

/** What a broker writes about itself into its state directory. */
export type BrokerInfo = z.output<typeof infoSchema>;

export const infoFile = (stateDir: string): string => join(stateDir, 'broker.json');

/** The same after it was moved. */
export function directoryIdentity(stateDir: string): string {
  const { dev, ino } = statSync(stateDir, { bigint: true });
  return `${dev}:${ino}`;
}

export const identityOf = ({ pid, process_started }: BrokerInfo): ProcessIdentity => ({
  pid,
  started: process_started,
});

/** What the broker of this directory announces; undefined when none runs, also when one was killed. */
export function readBrokerInfo(stateDir: string): BrokerInfo | undefined {
  let info: BrokerInfo;
  try {
    info = infoSchema.parse(JSON.parse(readFileSync(infoFile(stateDir), 'utf8')));
    if (info.directory !== undefined && info.directory !== directoryIdentity(stateDir)) return undefined;
  } catch {
    return undefined; // never started here, stopped cleanly, or not ours to read: in each case nothing is known
  }
  const found = lookFor(identityOf(info));
  return found === 'same' || found === 'unknown' ? info : undefined;
}
