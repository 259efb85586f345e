/** One broker per state directory, by a lock of the kernel on a small file; and what its holder announces beside it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { identify, lookFor } from '../supervisor/identity.ts';
import { lockFile } from '../transport/file-lock.ts';

const infoSchema = z.object({
  pid: z.number().int().min(1),
  /** The start of the process, since a pid is used again. */
  process_started: z.string().optional(),
  socket: z.string(),
  version: z.string(),
  started_at_ms: z.number(),
  /** False while it starts: it holds the lock and does not listen yet. */
  ready: z.boolean().default(true),
});

/** What a broker writes about itself into its state directory. */
export type BrokerInfo = z.output<typeof infoSchema>;

export class AlreadyRunningError extends Error {
  override readonly name = 'AlreadyRunningError';
  readonly code = 'already_running';
  readonly info: BrokerInfo | undefined;

  constructor(stateDir: string, info: BrokerInfo | undefined) {
    super(
      info === undefined
        ? `A broker already holds ${stateDir}.`
        : `A broker is already ${info.ready ? 'running' : 'starting'}: pid ${info.pid}, socket ${info.socket}.`,
    );
    this.info = info;
  }
}

interface Lock extends Disposable {
  announce(info: Omit<BrokerInfo, 'pid' | 'process_started'>): void;
}

/** Takes the lock or throws AlreadyRunningError. */
export function lockStateDirectory(stateDir: string): Lock {
  const held = lockFile(join(stateDir, 'broker.lock'));
  if (held === undefined) throw new AlreadyRunningError(stateDir, readBrokerInfo(stateDir));
  const file = infoFile(stateDir);
  rmSync(file, { force: true });
  const { pid, started } = identify(process.pid);
  return {
    announce(info) {
      const all: BrokerInfo = { pid, process_started: started, ...info };
      writeFileSync(`${file}.new`, `${JSON.stringify(all)}\n`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
    [Symbol.dispose]() {
      rmSync(file, { force: true });
      held[Symbol.dispose]();
    },
  };
}

/** What the broker of this directory announces; undefined when none runs, also when one was killed. */
export function readBrokerInfo(stateDir: string): BrokerInfo | undefined {
  let info: BrokerInfo;
  try {
    info = infoSchema.parse(JSON.parse(readFileSync(infoFile(stateDir), 'utf8')));
  } catch {
    return undefined; // never started here, stopped cleanly, or not ours to read: in each case nothing is known
  }
  const found = lookFor({ pid: info.pid, started: info.process_started });
  return found === 'same' || found === 'unknown' ? info : undefined;
}

const infoFile = (stateDir: string): string => join(stateDir, 'broker.json');
