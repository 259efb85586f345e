/** Ending processes, our children or not. */
import { isAlive } from './alive.ts';

const lookEveryMs = 20;

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it is gone already, which is what was wanted
  }
}

/** Whether the process ends within `ms`. Looked at again and again, since it need not be our child. */
export async function endsWithin(pid: number, ms: number): Promise<boolean> {
  for (const untilMs = performance.now() + ms; performance.now() < untilMs; await pause(lookEveryMs))
    if (!isAlive(pid)) return true;
  return !isAlive(pid);
}

/** SIGTERM, and SIGKILL when that was not enough. Resolves with whether it took SIGKILL. */
export async function terminate(pid: number, graceMs: number): Promise<boolean> {
  signal(pid, 'SIGTERM');
  if (await endsWithin(pid, graceMs)) return false;
  signal(pid, 'SIGKILL');
  await endsWithin(pid, graceMs);
  return true;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
