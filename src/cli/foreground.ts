/** The process that is the broker: in the foreground, or as the child that `startInBackground` starts. */
import { writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Logger, type LoggerOptions, pino } from 'pino';
import { type Configuration, loadConfiguration } from '../broker/configuration.ts';
import { AlreadyRunningError } from '../broker/lock.ts';
import { type RunningBroker, startBroker } from '../broker/start.ts';
import { ConfigurationError } from '../configuration/error.ts';
import { escapeJson } from '../text/json.ts';
import { parseAddress } from '../transport/address.ts';
import type { StartFlags } from './daemon.ts';
import { closeInherited } from './descriptors.ts';
import { conflict } from './held.ts';
import { prettyLogLine } from './log-line.ts';
import { RotatingLog } from './rotating-log.ts';
import { channelDescriptor, daemonVariable, logName, type StartupReport } from './startup.ts';

const main = fileURLToPath(new URL('../main.js', import.meta.url));

/** What a program prints is in the log as well, and the log is read in a terminal. */
const logOptions: LoggerOptions = { base: null, hooks: { streamWrite: escapeJson } };

/** Runs the broker in this process until a signal or a request stops it. Resolves with the exit code; rejects when it did not start. */
export async function runInForeground(flags: StartFlags): Promise<number> {
  process.title = 'deye-broker';
  const daemon = process.env[daemonVariable] === '1';
  delete process.env[daemonVariable];
  if (daemon) closeInherited(channelDescriptor);
  const log = daemon ? pino(logOptions, { write: writeIfPossible }) : foregroundLog();
  try {
    const configuration = await loadConfiguration(flags);
    if (parseAddress(configuration.socket).scheme === 'memory')
      throw new ConfigurationError(`No other process can reach ${configuration.socket}; give the broker a socket.`);
    const running = await (daemon ? runAsDaemon(configuration, flags) : run(configuration, flags, log));
    const type = await Promise.race([running.stopRequested, signalled()]);
    await running.stop(type);
    return 0;
  } catch (error) {
    const { code = 'start_failed', message } = error as Error & { code?: string };
    if (daemon) {
      log.error({ component: 'broker', code }, message);
      await report({ failed: { code, message } });
      return 1;
    }
    if (error instanceof AlreadyRunningError) {
      if (error.info === undefined) throw error;
      const refusal = conflict(error.info, await loadConfiguration(flags), flags);
      if (refusal !== undefined) throw refusal;
      process.stderr.write(`${message}\n`);
      return 0;
    }
    throw error;
  }
}

/** What cannot be written to a full disk is still reported to the command that waits. */
function writeIfPossible(line: string): void {
  try {
    writeSync(2, line);
  } catch {}
}

function foregroundLog(): Logger {
  return pino(
    logOptions,
    process.stderr.isTTY
      ? { write: (line: string) => process.stderr.write(`${prettyLogLine(line)}\n`) }
      : pino.destination({ fd: 2, sync: true }),
  );
}

/** Away from the caller: its working directory may be unmounted, and what its shell noted is of no use here. */
async function runAsDaemon(configuration: Configuration, flags: StartFlags): Promise<RunningBroker> {
  const { stateDir, limits, files } = configuration;
  // Relative paths meant the caller's directory.
  if (process.env.DEYE_STATE_DIR) process.env.DEYE_STATE_DIR = stateDir;
  if (process.env.DEYE_CONFIG) process.env.DEYE_CONFIG = files[0] ?? resolve(process.env.DEYE_CONFIG);
  process.chdir(stateDir);
  for (const name of ['_', 'OLDPWD', 'PWD', 'SHLVL', 'COLUMNS', 'LINES']) delete process.env[name];
  const path = join(stateDir, logName);
  const file = new RotatingLog(path, 2);
  file.limit(limits.logBytesMax, limits.logFilesMax);
  const running = await run(
    configuration,
    flags,
    pino({ base: null }, { write: (line) => file.write(escapeJson(line)) }),
    path,
  );
  const collectors_failed = [...(await running.collectorsTried)];
  await report({
    ready: { pid: process.pid, socket: running.socket!, warnings: [...running.warnings], collectors_failed },
  });
  return running;
}

function run(configuration: Configuration, flags: StartFlags, log: Logger, logFile?: string): Promise<RunningBroker> {
  log.level = configuration.logLevel;
  return startBroker({
    configuration,
    collectors: flags.collectors,
    log,
    ...(logFile === undefined ? {} : { logFile }),
    builtin: [process.execPath, main],
    progress: (stage) => void report({ progress: stage }),
    fatal: (error) => {
      const kept =
        (error as Error & { code?: string }).code === 'store_removed' ? '' : '; everything acknowledged is kept';
      process.stderr.write(`deye: ${error.message} The broker stops${kept}.\n`);
      process.exit(1);
    },
  });
}

/** To the command that started this process, if one did and is still there. The last report closes the channel. */
async function report(message: StartupReport): Promise<void> {
  if (process.send === undefined || !process.connected) return;
  await new Promise<void>((done) => process.send?.(message, undefined, undefined, () => done()));
  if (!('progress' in message) && process.connected) process.disconnect();
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
    process.removeAllListeners('SIGHUP');
    process.on('SIGHUP', () => {}); // the terminal it was started from is closed
  });
}
