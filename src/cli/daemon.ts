/**
 * Starting the broker, in the background or the foreground. In the background the child says over its IPC channel
 * when it is ready, or why it is not; only then does the parent return, so that what follows finds a broker.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { loadConfiguration, type Overrides } from '../broker/configuration.ts';
import { AlreadyRunningError, type BrokerInfo, readBrokerInfo } from '../broker/lock.ts';
import { startBroker, version } from '../broker/start.ts';
import { isAlive } from '../supervisor/alive.ts';
import { ensurePrivateDirectory } from '../transport/private-directory.ts';
import { prettyLogLine } from './log-line.ts';

export interface StartFlags extends Overrides {
  readonly collectors: boolean;
}

export interface Started {
  readonly pid: number;
  readonly socket: string;
  readonly store: string;
  readonly log: string;
  readonly version: string;
  readonly already_running: boolean;
}

type FromChild = { ready: { pid: number; socket: string } } | { failed: { code: string; message: string } };

const main = fileURLToPath(new URL('../main.js', import.meta.url));
const startupMs = 60_000;

/** An error that the child met before it was ready, with its code. */
class StartError extends Error {
  override readonly name = 'StartError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Starts a broker in the background and resolves when it is ready; one that is running already is no error. */
export async function startInBackground(flags: StartFlags): Promise<Started> {
  const { stateDir } = await loadConfiguration(flags);
  ensurePrivateDirectory(stateDir);
  const log = join(stateDir, 'broker.log');
  const describe = (pid: number, socket: string, running: string, already: boolean): Started => ({
    pid,
    socket,
    store: join(stateDir, 'deye.db'),
    log,
    version: running,
    already_running: already,
  });
  const output = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, [main, 'broker', 'start', '--foreground', ...argumentsOf(flags)], {
    detached: true,
    stdio: ['ignore', output, output, 'ipc'],
    env: { ...process.env, DEYE_DAEMON: '1' },
  });
  closeSync(output);
  const said = await new Promise<FromChild>((resolve) => {
    const failed = (code: string, message: string) => resolve({ failed: { code, message } });
    child.once('message', (message) => resolve(message as FromChild));
    child.once('error', (error) => failed('start_failed', `The broker could not be started: ${error.message}.`));
    child.once('exit', (code, signal) =>
      failed('start_failed', `The broker ended (${signal ?? code}) before it was ready. See ${log}`),
    );
    setTimeout(
      () => failed('start_failed', `The broker was not ready after ${startupMs / 1000} s. See ${log}`),
      startupMs,
    ).unref();
  });
  child.removeAllListeners();
  if (child.connected) child.disconnect();
  child.unref();
  if ('ready' in said) return describe(said.ready.pid, said.ready.socket, version, false);
  if (said.failed.code !== 'already_running') throw new StartError(said.failed.code, said.failed.message);
  const info = await announced(stateDir);
  return describe(info.pid, info.socket, info.version, true);
}

/** What the broker that holds the lock says about itself; it may still be starting. */
async function announced(stateDir: string): Promise<BrokerInfo> {
  for (
    const untilMs = Date.now() + startupMs;
    Date.now() < untilMs;
    await new Promise((resolve) => setTimeout(resolve, 20))
  ) {
    const info = readBrokerInfo(stateDir);
    if (info !== undefined && isAlive(info.pid)) return info;
  }
  throw new StartError(
    'already_running',
    `Another broker holds ${stateDir} but has not become ready in ${startupMs / 1000} s. See ${join(stateDir, 'broker.log')}`,
  );
}

/** Runs the broker in this process until it is told to stop. Resolves with the exit code. */
export async function runInForeground(flags: StartFlags): Promise<number> {
  process.title = 'deye-broker';
  const daemon = process.env.DEYE_DAEMON === '1';
  const pretty = !daemon && process.stderr.isTTY;
  const log = pino(
    { base: null },
    pretty
      ? { write: (line: string) => process.stderr.write(`${prettyLogLine(line)}\n`) }
      : pino.destination({ fd: 2, sync: true }),
  );
  const tell = (message: FromChild): void => {
    if (process.send === undefined) return;
    process.send(message, undefined, undefined, () => process.disconnect?.());
  };
  try {
    const configuration = await loadConfiguration(flags);
    log.level = configuration.logLevel;
    const running = await startBroker({
      configuration,
      collectors: flags.collectors,
      log,
      builtin: [process.execPath, main],
      fatal: (error) => {
        process.stderr.write(`deye: ${error.message} The broker stops; everything acknowledged is kept.\n`);
        process.exit(1);
      },
    });
    tell({ ready: { pid: process.pid, socket: running.socket! } });
    const type = await Promise.race([running.stopAsked, signalled()]);
    await running.stop(type);
    return 0;
  } catch (error) {
    const { code = 'start_failed', message } = error as Error & { code?: string };
    tell({ failed: { code, message } });
    if (daemon) {
      log.error({ component: 'broker', code }, message);
      return 1;
    }
    if (error instanceof AlreadyRunningError) {
      process.stderr.write(`${message}\n`);
      return 0;
    }
    throw error;
  }
}

/** The first SIGTERM or SIGINT stops gracefully, a second one at once. */
function signalled(): Promise<'graceful'> {
  return new Promise((resolve) => {
    let first = true;
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.removeAllListeners(name);
      process.on(name, () => {
        if (!first) process.exit(130);
        first = false;
        resolve('graceful');
      });
    }
    process.on('SIGHUP', () => {}); // the terminal it was started from is closed
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
