/**
 * One broker per state directory, by a lock of the kernel: SQLite's own lock on a small file, which is gone the
 * moment the process is, however it died. (Node has no flock; SQLite locks ranges of the file with fcntl, and keeps
 * its own books where two brokers live in one process.)
 */

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** What a running broker says about itself in its state directory. */
export interface BrokerInfo {
  readonly pid: number;
  readonly socket: string;
  readonly version: string;
  readonly started_at_ms: number;
}

export class AlreadyRunningError extends Error {
  override readonly name = 'AlreadyRunningError';
  readonly code = 'already_running';
  readonly info: BrokerInfo | undefined;

  constructor(stateDir: string, info: BrokerInfo | undefined) {
    super(
      info === undefined
        ? `A broker already holds ${stateDir}.`
        : `A broker is already running: pid ${info.pid}, socket ${info.socket}.`,
    );
    this.info = info;
  }
}

export interface Lock extends Disposable {
  /** Whether the last broker here ended without saying so. */
  readonly afterCrash: boolean;
  announce(info: BrokerInfo): void;
}

/** Takes the lock or throws AlreadyRunningError. */
export function lockStateDirectory(stateDir: string): Lock {
  const before = process.umask(0o177);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(join(stateDir, 'broker.lock'));
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    db?.close();
    const { errcode } = cause as { errcode?: number };
    if (errcode !== undefined && ((errcode & 0xff) === 5 || (errcode & 0xff) === 6))
      throw new AlreadyRunningError(stateDir, readBrokerInfo(stateDir));
    throw cause;
  } finally {
    process.umask(before);
  }
  const held = db;
  const file = infoFile(stateDir);
  const afterCrash = readBrokerInfo(stateDir) !== undefined;
  rmSync(file, { force: true });
  return {
    afterCrash,
    announce(info) {
      writeFileSync(`${file}.new`, `${JSON.stringify(info)}\n`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
    [Symbol.dispose]() {
      rmSync(file, { force: true });
      held.close();
    },
  };
}

/** What the broker of this directory last announced; it may be dead. */
export function readBrokerInfo(stateDir: string): BrokerInfo | undefined {
  try {
    return JSON.parse(readFileSync(infoFile(stateDir), 'utf8')) as BrokerInfo;
  } catch {
    return undefined; // never started here, stopped cleanly, or not ours to read: in each case nothing is known
  }
}

const infoFile = (stateDir: string): string => join(stateDir, 'broker.json');
