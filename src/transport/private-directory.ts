/** Directories that are the user's own: mode 0700, owned by the user, and no symbolic link in their place. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { TransportError } from './error.ts';

/** Makes the directory when it is missing, and refuses one that others could look into or have put there. */
export function ensurePrivateDirectory(path: string): void {
  if (statOf(path) === undefined) make(path);
  checkPrivateDirectory(path);
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // something above it is not a directory; making it says so
  }
}

/** With every parent that is missing, each private from its first instant whatever the umask is. */
function make(path: string): void {
  try {
    if (statOf(dirname(path)) === undefined && dirname(path) !== path) make(dirname(path));
    mkdirSync(path, { mode: 0o700 });
    chmodSync(path, 0o700); // a umask can only have taken rights of the owner
  } catch (cause) {
    if (cause instanceof TransportError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST' && statOf(path) !== undefined) return; // another was quicker
    throw new TransportError('directory_unsafe', `The directory ${path} cannot be made: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/** Throws a TransportError `directory_unsafe` that names what is wrong and what to do. */
export function checkPrivateDirectory(path: string): void {
  const stat = lstatSync(path);
  const refuse = (why: string, remedy: string) => {
    throw new TransportError('directory_unsafe', `The directory ${path} ${why}. ${remedy}`);
  };
  const elsewhere = 'Choose a place in a directory of its own with --socket and --state-dir.';
  if (stat.isSymbolicLink()) refuse('is a symbolic link', `Remove the link, or: ${elsewhere}`);
  if (!stat.isDirectory()) refuse('is not a directory', `Move it away, or: ${elsewhere}`);
  if (process.platform === 'win32') return;
  if (stat.uid !== process.getuid!()) refuse(`belongs to user ${stat.uid}, not to you`, elsewhere);
  if ((stat.mode & 0o077) !== 0)
    refuse(
      `is open to others (mode ${(stat.mode & 0o7777).toString(8)})`,
      holdsOnlyOurs(path, stat) ? `Close it with: chmod 700 ${path}` : elsewhere,
    );
}

/** Files of ours are never reached by way of a link: it leads out of the private directory. */
export function refuseLink(path: string): void {
  const stat = statOf(path);
  if (stat === undefined || stat.isFile()) return;
  const what = stat.isSymbolicLink() ? 'a symbolic link' : 'not a file';
  throw new TransportError('file_unsafe', `${path} is ${what}. Remove it; a file is made in its place.`);
}

/** `DEYE_SOCKET=/tmp` is a slip for a path in it. */
export function refuseDirectory(path: string): void {
  let directory: boolean;
  try {
    directory = lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return; // something above it is no directory; the code that uses the path reports it
  }
  if (directory)
    throw new TransportError(
      'socket_unsafe',
      `${path} is a directory. Name a socket in a directory of its own, such as ${path === '/' ? '' : path}/deye/broker.sock.`,
    );
}

/** What deye puts into its directories. */
const ours = /^(token|deye-[0-9a-f]{32}|store|(broker|deye|children|store)\..*|.*\.sock(\.lock)?)$/;

/** Whether the directory is deye's own, so that closing it to others harms no other program. */
function holdsOnlyOurs(path: string, stat: Stats): boolean {
  if ((stat.mode & 0o1000) !== 0 || path === homedir() || dirname(path) === dirname(dirname(path))) return false;
  try {
    return readdirSync(path).every((name) => ours.test(name));
  } catch {
    return false; // what cannot be looked into is not ours to advise on
  }
}
