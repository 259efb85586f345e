/** A broker as a process of its own, a good client, and, when wanted, eight hostile ones beside it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, connect } from '../../src/index.ts';

const main = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const hostile = fileURLToPath(new URL('./clients.ts', import.meta.url));
const payloadBytes = 8 * 1024 * 1024;
const everyMs = 10;

export interface Measured {
  readonly submitted: number;
  readonly answered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  readonly rssMaxBytes: number;
  /** The shares of a core that the broker and the hostile clients took. */
  readonly brokerCores: number;
  readonly hostileCores: number;
  /** Realtime messages that the broker lost for them. */
  readonly dropped: number;
}

/** One line about a run, for people. */
export const line = (what: string, one: Measured): string =>
  [
    what.padEnd(14),
    `${one.answered}/${one.submitted} answered`,
    `p50 ${one.p50Ms.toFixed(1)} ms`,
    `p99 ${one.p99Ms.toFixed(1)} ms`,
    `longest ${one.longestMs.toFixed(0)} ms`,
    `broker ${(one.rssMaxBytes / 2 ** 20).toFixed(0)} MiB, ${one.brokerCores.toFixed(2)} cores`,
    `hostile ${one.hostileCores.toFixed(2)} cores`,
    `${one.dropped} dropped`,
  ].join('  ');

/** Resident bytes and seconds of CPU of a process. */
function usage(pid: number): { rssBytes: number; cpuS: number } {
  const [rss = '0', time = '0'] = execFileSync('ps', ['-o', 'rss=,cputimes=', '-p', `${pid}`], { encoding: 'utf8' })
    .trim()
    .split(/\s+/);
  return { rssBytes: Number(rss) * 1024, cpuS: preciseCpuS(pid) ?? Number(time) };
}

/** In hundredths of a second, where the system says so. */
function preciseCpuS(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export async function measure(options: { seconds: number; hostile: boolean; perSecond?: number }): Promise<Measured> {
  const { seconds, perSecond = 1000 } = options;
  const directory = mkdtempSync(join(tmpdir(), 'deye-hostile-'));
  const socket = join(directory, 'run', 'broker.sock');
  const env = {
    ...process.env,
    DEYE_SOCKET: socket,
    DEYE_STATE_DIR: join(directory, 'state'),
    XDG_CONFIG_HOME: directory,
  };
  const children: ChildProcess[] = [];
  const start = (args: string[], output: 'pipe' | 'ignore'): ChildProcess => {
    const child = spawn(process.execPath, args, { env, cwd: directory, stdio: ['ignore', output, 'ignore'] });
    children.push(child);
    return child;
  };
  try {
    const broker = start([main, 'broker', 'start', '--foreground'], 'ignore');
    while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
    await using good = await connect({ socket, name: 'good' });
    const { id } = await good.submit({ operation: 'big', payload: Buffer.alloc(payloadBytes - 5) });
    const others = options.hostile ? start([hostile, socket, id], 'pipe') : undefined;
    if (others?.stdout) await once(others.stdout, 'data');
    return await run(good, { broker: broker.pid!, others: others?.pid, seconds, perSecond });
  } finally {
    for (const child of children) {
      const exited = once(child, 'exit');
      if (child.exitCode === null && child.kill('SIGKILL')) await exited;
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Run {
  readonly broker: number;
  readonly others: number | undefined;
  readonly seconds: number;
  readonly perSecond: number;
}

/** Submits at a steady rate; what cannot be sent in time is sent late, and its waiting counts. */
async function run(good: Client, { broker, others, seconds, perSecond }: Run): Promise<Measured> {
  const latencies: number[] = [];
  const pending: Promise<unknown>[] = [];
  let rssMaxBytes = 0;
  const before = [broker, others].map((pid) => (pid === undefined ? 0 : usage(pid).cpuS));
  const watch = setInterval(() => {
    rssMaxBytes = Math.max(rssMaxBytes, usage(broker).rssBytes);
  }, 250);
  const startMs = performance.now();
  for (let sent = 0; sent < seconds * perSecond; ) {
    const due = Math.min(seconds * perSecond, Math.floor(((performance.now() - startMs) / 1000) * perSecond));
    for (; sent < due; sent++) {
      const dueMs = startMs + (sent / perSecond) * 1000;
      const submitted = good.submit({ operation: 'good', payload: sent }, { timeoutMs: 60_000 });
      pending.push(submitted.then(() => latencies.push(performance.now() - dueMs)));
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  const answered = (await Promise.allSettled(pending)).filter(({ status }) => status === 'fulfilled').length;
  const { relay } = await good.request('broker.snapshot', {}, { timeoutMs: 60_000 });
  clearInterval(watch);
  const tookS = (performance.now() - startMs) / 1000;
  const [brokerCores = 0, hostileCores = 0] = [broker, others].map((pid, at) =>
    pid === undefined ? 0 : (usage(pid).cpuS - before[at]!) / tookS,
  );
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor((latencies.length - 1) * share)] ?? Number.NaN;
  return {
    submitted: pending.length,
    answered,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    longestMs: at(1),
    rssMaxBytes,
    brokerCores,
    hostileCores,
    dropped: relay.dropped,
  };
}
