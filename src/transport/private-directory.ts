/** Directories that are the user's own: mode 0700, owned by the user, and no symbolic link in their place. */
import { lstatSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { TransportError } from './error.ts';

/** Makes the directory when it is missing, and refuses one that others could look into or have put there. */
export function ensurePrivateDirectory(path: string): void {
  if (!isThere(path)) make(path);
  checkPrivateDirectory(path);
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // something above it is not a directory; making it says so
  }
}

function make(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST' && isThere(path)) return; // another was quicker
    throw new TransportError('directory_unsafe', `The directory ${path} cannot be made: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/** Throws a TransportError `directory_unsafe` that names what is wrong and the command that mends it. */
export function checkPrivateDirectory(path: string): void {
  const stat = lstatSync(path);
  const refuse = (why: string, mend: string) => {
    throw new TransportError('directory_unsafe', `The directory ${path} ${why}. ${mend}`);
  };
  if (stat.isSymbolicLink())
    refuse('is a symbolic link', 'Remove the link, or choose another place with --socket and --state-dir.');
  if (!stat.isDirectory()) refuse('is not a directory', 'Move it away, or choose another place.');
  if (process.platform === 'win32') return;
  if (stat.uid !== process.getuid!())
    refuse(`belongs to user ${stat.uid}, not to you`, 'Choose another place with --socket and --state-dir.');
  if ((stat.mode & 0o077) !== 0)
    refuse(
      `is open to others (mode ${(stat.mode & 0o777).toString(8)})`,
      `If its contents are yours: chmod 700 ${path}`,
    );
}
