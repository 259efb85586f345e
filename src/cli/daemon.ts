/**
 * Starting the broker in the background. The child reports over its IPC channel what it does, and at last that it is
 * ready or why it is not; only then does this return, so that what follows finds a broker. A child is given up only
 * when it shows no sign of life for long, and then it is killed: nothing is left behind that was called failed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BrokerInfo, readBrokerInfo } from '../broker/broker-info.ts';
import { loadConfiguration, type Overrides } from '../broker/configuration.ts';
import { version } from '../broker/start.ts';
import { inStateDirectory } from '../broker/state-directory-error.ts';
import type { StartFailure } from '../supervisor/supervisor.ts';
import { ensurePrivateDirectory } from '../transport/private-directory.ts';
import { signalNames } from './exit.ts';
import { conflict, StartError } from './held.ts';
import { openLog } from './rotating-log.ts';
import { daemonVariable, logName, type StartupEnd, startupReportSchema } from './startup.ts';

export interface StartFlags extends Overrides {
  readonly collectors: boolean;
}

interface StartWatch {
  /** Gets what the start is doing, once it takes a while. */
  readonly progress?: (text: string) => void;
  /** How long the child may show no sign of life. */
  readonly silenceMs?: number;
}

export interface Started {
  readonly pid: number;
  readonly socket: string;
  readonly store: string;
  readonly log: string;
  readonly version: string;
  readonly already_running: boolean;
  /** What the broker warned of when it started. */
  readonly warnings: readonly string[];
  /** Declared collectors that could not be started, and why. */
  readonly collectors_failed: readonly StartFailure[];
}

const main = fileURLToPath(new URL('../main.js', import.meta.url));
/** Without a look at the time it has used, a child that loads for long looks as if it hung. */
const silenceMsDefault = process.platform === 'linux' ? 60_000 : 600_000;
const lookEveryMs = 100;
const progressAfterMs = 1000;
/** How often a start may find the lock held by a process that has not announced itself. */
const unannouncedMax = 20;
/** A child that reported why it failed has nothing left to do. */
const endMs = 5000;

/** Starts a broker in the background and resolves when it is ready; one that is running already on this socket is no error. */
export async function startInBackground(flags: StartFlags, watch: StartWatch = {}): Promise<Started> {
  const configuration = await loadConfiguration(flags);
  const { stateDir } = configuration;
  ensurePrivateDirectory(stateDir);
  const log = join(stateDir, logName);
  const describe = (pid: number, socket: string, running: string): Started => ({
    pid,
    socket,
    store: join(stateDir, 'store'),
    log,
    version: running,
    already_running: true,
    warnings: [],
    collectors_failed: [],
  });
  for (let left = unannouncedMax; ; left--) {
    const outcome = await attempt(flags, log, watch);
    if ('ready' in outcome) {
      const { pid, socket, ...report } = outcome.ready;
      return { ...describe(pid, socket, version), already_running: false, ...report };
    }
    if (!['already_running', 'store_in_use'].includes(outcome.failed.code))
      throw new StartError(outcome.failed.code, outcome.failed.message);
    const info = await announced(stateDir, log, watch);
    if (info !== undefined) {
      const refusal = conflict(info, configuration, flags);
      if (refusal !== undefined) throw refusal;
      return describe(info.pid, info.socket, info.version);
    }
    // The one that held the lock has ended before it was ready, or has not announced itself yet.
    if (left === 0) throw new StartError(outcome.failed.code, outcome.failed.message);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

async function attempt(flags: StartFlags, log: string, watch: StartWatch): Promise<StartupEnd> {
  const output = inStateDirectory(() => openLog(log));
  const child = spawn(process.execPath, [main, 'broker', 'start', '--foreground', ...argumentsOf(flags)], {
    detached: true,
    stdio: ['ignore', output, output, 'ipc'],
    env: { ...process.env, [daemonVariable]: '1' },
  });
  closeSync(output);
  const interrupt = (): void => void child.kill('SIGKILL');
  // Before the command's own, which ends this process.
  for (const name of signalNames) process.prependListener(name, interrupt);
  try {
    const outcome = await outcomeOf(child, log, watch);
    if ('failed' in outcome) await ended(child);
    return outcome;
  } finally {
    for (const name of signalNames) process.off(name, interrupt);
    child.removeAllListeners();
    if (child.connected) child.disconnect();
    child.unref();
  }
}

function outcomeOf(child: ChildProcess, log: string, watch: StartWatch): Promise<StartupEnd> {
  return new Promise((resolve) => {
    const life = new LifeWatch(child.pid, watch);
    const finish = (outcome: StartupEnd): void => {
      life.end();
      resolve(outcome);
    };
    const failed = (message: string): void =>
      finish({ failed: { code: 'start_failed', message: `${message} See ${log}` } });
    child.on('message', (message) => {
      const report = startupReportSchema.parse(message);
      if ('progress' in report) life.stage(report.progress);
      else finish(report);
    });
    child.once('error', (error) => failed(`The broker could not be started: ${error.message}.`));
    child.once('exit', (code, signal) => failed(`The broker ended (${signal ?? code}) before it was ready.`));
    life.silent = (stage, ms) => {
      child.kill('SIGKILL');
      failed(`The broker (pid ${child.pid}) showed no sign of life for ${ms / 1000} s while ${stage}; it was killed.`);
    };
  });
}

/** Looks whether a process that starts does anything: it reports, or it uses the processor. */
class LifeWatch {
  silent: (stage: string, ms: number) => void = () => {};
  #stage = 'starting';
  #used: string | undefined;
  readonly #startMs = performance.now();
  #lastMs = this.#startMs;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number | undefined, { progress = () => {}, silenceMs = silenceMsDefault }: StartWatch) {
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      const used = pid === undefined ? undefined : processorTime(pid);
      if (used !== this.#used) this.#lastMs = nowMs;
      this.#used = used;
      if (nowMs - this.#startMs > progressAfterMs)
        progress(`${this.#stage} (${Math.floor((nowMs - this.#startMs) / 1000)} s)`);
      if (nowMs - this.#lastMs > silenceMs) this.silent(this.#stage, silenceMs);
    }, lookEveryMs);
  }

  stage(stage: string): void {
    this.#stage = stage;
    this.#lastMs = performance.now();
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

/** What the process has used so far; only a change of it means anything. Undefined where the system does not say. */
function processorTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
      .join('+');
  } catch {
    return undefined;
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill('SIGKILL'), endMs);
  await new Promise((resolve) => child.once('exit', resolve));
  clearTimeout(timer);
}

/** What the broker that holds the lock announces once it has started; undefined when it has ended before. */
function announced(stateDir: string, log: string, watch: StartWatch): Promise<BrokerInfo | undefined> {
  let info = readBrokerInfo(stateDir);
  if (info?.state !== 'starting') return Promise.resolve(info);
  const { pid } = info;
  return new Promise((resolve, reject) => {
    const life = new LifeWatch(pid, watch);
    life.stage(`waiting for the broker that another command started (pid ${pid})`);
    const timer = setInterval(() => {
      info = readBrokerInfo(stateDir);
      if (info?.pid === pid && info.state === 'starting') return;
      finish();
      resolve(info?.state === 'starting' ? undefined : info);
    }, 20);
    const finish = (): void => {
      life.end();
      clearInterval(timer);
    };
    life.silent = (_, ms) => {
      finish();
      const message = `Another broker (pid ${pid}) holds ${stateDir} but showed no sign of life for ${ms / 1000} s. See ${log}`;
      reject(new StartError('already_running', message));
    };
  });
}

function argumentsOf(flags: StartFlags): string[] {
  const pair = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  return [
    ...pair('--socket', flags.socket),
    ...pair('--state-dir', flags.stateDir),
    ...pair('--log-level', flags.logLevel),
    ...pair('--config', flags.file),
    ...(flags.collectors ? [] : ['--no-collectors']),
  ];
}
