/** One broker per state directory, by a lock of the kernel on a small file; and what its holder announces beside it. */
import { closeSync, existsSync, ftruncateSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { identify, lookFor } from '../supervisor/identity.ts';
import { lockFile } from '../transport/file-lock.ts';
import { type BrokerInfo, directoryIdentity, identityOf, infoFile, readBrokerInfo } from './broker-info.ts';

export class AlreadyRunningError extends Error {
  override readonly name = 'AlreadyRunningError';
  /** `store_in_use`: by a command, or by a broker that has not said yet who it is. */
  readonly code: 'already_running' | 'store_in_use';
  readonly info: BrokerInfo | undefined;

  constructor(stateDir: string, info: BrokerInfo | undefined) {
    super(
      info === undefined
        ? `A broker, or a command that works on its store, holds ${stateDir}. Try again when it is done.`
        : `A broker is already ${info.state}: pid ${info.pid}, socket ${info.socket}.`,
    );
    this.code = info === undefined ? 'store_in_use' : 'already_running';
    this.info = info;
  }
}

/** Whole or as it was; on a full disk in the place of what is there, which has room. */
function write(file: string, text: string): void {
  try {
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  } catch (error) {
    rmSync(`${file}.new`, { force: true });
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOSPC', 'EDQUOT'].includes(code) || !existsSync(file)) throw error;
    const fd = openSync(file, 'r+');
    try {
      ftruncateSync(fd, writeSync(fd, text, 0));
    } finally {
      closeSync(fd);
    }
  }
}

interface Lock extends Disposable {
  announce(info: Omit<BrokerInfo, 'pid' | 'process_started' | 'directory'>): void;
}

/** Takes the lock or throws AlreadyRunningError. */
export function lockStateDirectory(stateDir: string): Lock {
  const held = lockFile(join(stateDir, 'broker.lock'));
  if (held === undefined) throw new AlreadyRunningError(stateDir, readBrokerInfo(stateDir));
  // Who removes the lock's file leaves its holder with a lock that nobody else meets.
  const other = readBrokerInfo(stateDir);
  if (other !== undefined && other.pid !== process.pid && lookFor(identityOf(other)) === 'same') {
    held[Symbol.dispose]();
    throw new AlreadyRunningError(stateDir, other);
  }
  const file = infoFile(stateDir);
  rmSync(file, { force: true });
  const { pid, started } = identify(process.pid);
  return {
    announce(info) {
      const directory = directoryIdentity(stateDir);
      const all: BrokerInfo = { pid, process_started: started, directory, ...info };
      write(file, `${JSON.stringify(all)}\n`);
    },
    [Symbol.dispose]() {
      rmSync(file, { force: true });
      held[Symbol.dispose]();
    },
  };
}
