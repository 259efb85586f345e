/**
 * The log of a background broker, on standard error: the file was opened to append by the process that started it. When it is
 * full it is copied to `broker.log.1` and emptied, and older copies move on. Copied, not renamed: Node cannot put
 * another file under descriptor 2, and what Node itself prints when it crashes must land in `broker.log`. Nothing is
 * lost between the two steps, since this process writes by this function only and both are synchronous; what is written
 * next goes to the start of the file, because it is open to append.
 */
import {
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { refuseLink } from '../transport/private-directory.ts';

/** To append. Closed to others, and never by way of a link, which leads out of the private directory. */
export function openLog(path: string): number {
  refuseLink(path);
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW = 0 } = constants;
  return openSync(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
}

export class RotatingLog {
  readonly #path: string;
  #descriptor: number;
  #bytes: number;
  #bytesMax = Number.POSITIVE_INFINITY;
  #filesMax = 1;
  /** Written since a rotation failed; the next attempt waits until some more is. */
  #retryAtBytes = 0;

  constructor(path: string, descriptor: number) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#bytes = fstatSync(descriptor).size;
  }

  /** From now on: rotates at `bytesMax`, and keeps `filesMax` files, the current one counted. */
  limit(bytesMax: number, filesMax: number): void {
    this.#bytesMax = bytesMax;
    this.#filesMax = filesMax;
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    this.#follow();
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#bytesMax && this.#bytes >= this.#retryAtBytes)
      this.#rotate();
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
      this.#bytes += bytes.length;
    } catch {
      // The disk may be full: a broker does not stop for want of a log.
    }
  }

  /** A file that was removed is made again: it is where people look for the reason why a broker ended. */
  #follow(): void {
    if (existsSync(this.#path)) return;
    try {
      this.#descriptor = openLog(this.#path);
      this.#bytes = 0;
    } catch {
      // Its directory is gone, too: what is written is lost with it.
    }
  }

  #rotate(): void {
    try {
      const fresh = `${this.#path}.new`;
      if (this.#filesMax > 1) {
        copyFileSync(this.#path, fresh, constants.COPYFILE_FICLONE);
        for (let at = this.#filesMax - 1; at > 1; at--) move(`${this.#path}.${at - 1}`, `${this.#path}.${at}`);
        renameSync(fresh, `${this.#path}.1`);
      }
      ftruncateSync(this.#descriptor, 0);
      this.#bytes = 0;
      this.#retryAtBytes = 0;
    } catch {
      this.#retryAtBytes = this.#bytes + this.#bytesMax / 4;
      rmSync(`${this.#path}.new`, { force: true });
    }
  }
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // there are not that many yet
  }
}
