/** Which process a pid means. Pids are used again, so a pid that is written down goes with the start of its process. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isAlive } from './alive.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, as the system writes it; undefined where the system does not show it. */
  readonly started?: string | undefined;
}

export function identify(pid: number): ProcessIdentity {
  return { pid, started: startOf(pid) };
}

/** `same` and `other`: the pid is alive and means that process or another one; `unknown`: alive, and the system does not show which. */
export function lookFor({ pid, started }: ProcessIdentity): 'gone' | 'same' | 'other' | 'unknown' {
  if (!isAlive(pid)) return 'gone';
  const now = startOf(pid);
  if (started === undefined || now === undefined) return 'unknown';
  return started === now ? 'same' : 'other';
}

function startOf(pid: number): string | undefined {
  if (process.platform === 'linux')
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      // Field 22, in ticks since the boot; the name before it may hold anything, also spaces and brackets.
      const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      return `${ticks} ${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`;
    } catch {
      return undefined; // it ended meanwhile
    }
  if (process.platform === 'win32') return undefined;
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'latin1' });
  return stdout?.trim() || undefined;
}
