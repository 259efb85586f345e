/**
 * Whether a directory lies on a file system of another machine. There a lock may hold on this machine alone, and what was
 * synced may not have reached the disk: two things that a broker promises by.
 */
import { statfsSync } from 'node:fs';

/** Types of statfs(2) on Linux. */
const networkTypes: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB 2'],
  [0xff534d42, 'CIFS'],
  [0x01021997, '9P'],
  [0x65735546, 'FUSE'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x7461636f, 'OCFS2'],
  [0x01161970, 'GFS2'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
]);

/** What to tell who keeps tasks there; undefined on a local one, and on systems that number them in another way. */
export function networkWarning(
  path: string,
  stat: (path: string) => { readonly type: number } = statfsSync,
): string | undefined {
  if (process.platform !== 'linux') return undefined;
  let name: string | undefined;
  try {
    name = networkTypes.get(stat(path).type >>> 0);
  } catch {} // what cannot be looked at is named by whoever uses it
  return name === undefined
    ? undefined
    : `${path} lies on ${name}, which may be the disk of another machine: there a lock may not keep a second broker out, and what is acknowledged may be lost with the connection. Choose a local directory with --state-dir.`;
}
