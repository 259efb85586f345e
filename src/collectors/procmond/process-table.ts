/**
 * The process table of this machine. On Linux read straight from /proc (a few milliseconds); elsewhere through
 * systeminformation. Processes come and go while it is read: one that vanished is left out.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

export interface ProcessRow {
  readonly pid: number;
  readonly ppid: number;
  readonly name: string;
  readonly command_line: string;
  /** Null when it cannot be seen: a kernel thread, or another user's process without the privilege. */
  readonly executable: string | null;
  readonly user: string;
  /** running, sleeping, waiting, stopped, zombie, idle. */
  readonly state: string;
  readonly started_at_ms: number;
  /** Of one core, averaged over the life of the process. */
  readonly cpu_percent: number;
  /** Resident set. */
  readonly memory_bytes: number;
}

export const processFields = [
  'pid',
  'ppid',
  'name',
  'command_line',
  'executable',
  'user',
  'state',
  'started_at_ms',
  'cpu_percent',
  'memory_bytes',
] as const;
export type ProcessField = (typeof processFields)[number];

export async function readProcessTable(): Promise<ProcessRow[]> {
  return process.platform === 'linux' ? readLinux() : readElsewhere();
}

/** What cannot be seen of some processes without more privileges, or undefined. */
export function processTableLimitation(): string | undefined {
  return process.platform === 'linux' && process.getuid!() !== 0
    ? "executable is null for other users' processes (needs root or CAP_SYS_PTRACE)"
    : undefined;
}

/** /proc counts in ticks of 1/100 s on every architecture Linux runs on (USER_HZ). */
const ticksPerSecond = 100;
const linuxStates: Readonly<Record<string, string>> = {
  R: 'running',
  S: 'sleeping',
  D: 'waiting',
  T: 'stopped',
  t: 'stopped',
  Z: 'zombie',
  I: 'idle',
};

/** Exported for the test that compares both ways. */
export function readLinux(root = '/proc'): ProcessRow[] {
  const users = readUsers();
  const bootMs = Number(/^btime (\d+)$/m.exec(readFileSync(`${root}/stat`, 'latin1'))![1]) * 1000;
  const nowMs = Date.now();
  const rows: ProcessRow[] = [];
  for (const entry of readdirSync(root)) {
    const first = entry.charCodeAt(0);
    if (first < 0x30 || first > 0x39) continue;
    const row = readOne(`${root}/${entry}`, Number(entry), users, bootMs, nowMs);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

function readOne(
  dir: string,
  pid: number,
  users: ReadonlyMap<number, string>,
  bootMs: number,
  nowMs: number,
): ProcessRow | undefined {
  let stat: string;
  let status: string;
  let commandLine: string;
  let uid: number;
  try {
    stat = readFileSync(`${dir}/stat`, 'utf8');
    status = readFileSync(`${dir}/status`, 'utf8');
    commandLine = readFileSync(`${dir}/cmdline`, 'utf8').replace(/\0+$/, '').replaceAll('\0', ' ');
    uid = statSync(dir).uid;
  } catch {
    return undefined; // it ended while we looked
  }
  // The name stands in parentheses and may hold anything, parentheses and spaces too: the last one closes it.
  const close = stat.lastIndexOf(')');
  const name = stat.slice(stat.indexOf('(') + 1, close);
  const fields = stat.slice(close + 2).split(' ');
  const cpuMs = ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1000;
  const startMs = bootMs + (Number(fields[19]) / ticksPerSecond) * 1000;
  return {
    pid,
    ppid: Number(fields[1]),
    name,
    command_line: commandLine === '' ? `[${name}]` : commandLine,
    executable: readExecutable(dir),
    user: users.get(uid) ?? String(uid),
    state: linuxStates[fields[0]!] ?? fields[0]!,
    started_at_ms: startMs,
    cpu_percent: Math.round((cpuMs / Math.max(10, nowMs - startMs)) * 1000) / 10,
    memory_bytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024,
  };
}

function readExecutable(dir: string): string | null {
  try {
    return readlinkSync(`${dir}/exe`);
  } catch {
    return null; // a kernel thread, another user's process, or gone
  }
}

function readUsers(): Map<number, string> {
  const users = new Map<number, string>();
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid] = line.split(':');
    if (uid !== undefined && name !== undefined && !users.has(Number(uid))) users.set(Number(uid), name);
  }
  return users;
}

export async function readElsewhere(): Promise<ProcessRow[]> {
  const { processes } = await import('systeminformation');
  const { list } = await processes();
  return list.map((one) => ({
    pid: one.pid,
    ppid: one.parentPid,
    name: one.name,
    command_line: one.params === '' ? one.command : `${one.command} ${one.params}`,
    executable: one.path === '' ? null : one.path,
    user: one.user,
    state: one.state,
    started_at_ms: Date.parse(one.started),
    cpu_percent: Math.round(one.cpu * 10) / 10,
    memory_bytes: one.memRss * 1024,
  }));
}
