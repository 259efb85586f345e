/** A disk of its own that can be filled, emptied and made read-only; for root on Linux. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missing } from '../interop/missing.ts';

const run = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;

export class SmallDisk implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'deye-disk-'));
  readonly #filler = join(this.directory, 'filler');

  constructor(mebibytes: number) {
    if (!run('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'deye', this.directory))
      throw new Error('cannot mount here');
  }

  /** Until nothing more goes in. */
  fill(): void {
    const fd = openSync(this.#filler, 'w');
    try {
      for (const some of [1024 * 1024, 4096]) {
        const zeros = Buffer.alloc(some);
        while (written(fd, zeros) === some);
      }
    } finally {
      closeSync(fd);
    }
  }

  free(): void {
    rmSync(this.#filler);
  }

  readOnly(): void {
    if (!run('mount', '-o', 'remount,ro', this.directory)) throw new Error(`${this.directory} is in use`);
  }

  [Symbol.dispose](): void {
    run('umount', '-l', this.directory);
    rmSync(this.directory, { recursive: true });
  }
}

function written(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return 0;
    throw error;
  }
}

function canMount(): boolean {
  try {
    new SmallDisk(1)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

/** For `skipIf`. */
export const cannotMount: boolean = missing(!canMount(), 'leave to mount a disk');
