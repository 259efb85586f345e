/**
 * Descriptors that the caller of a background broker had open, such as those of `2> >(cat)` or `9>lock`: they came with
 * it, and a process that waits for their end would wait for the broker. What Node opens itself closes on exec; what is left
 * without that mark was inherited. (Only Linux shows which; elsewhere nothing is closed.)
 */
import { closeSync, readdirSync, readFileSync } from 'node:fs';

const closeOnExec = 0o2000000;

/** Closes what was inherited, but for the descriptors up to `last`. Returns what it closed. */
export function closeInherited(last: number): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => {
      if (descriptor <= last || !isInherited(descriptor)) return false;
      closeSync(descriptor);
      return true;
    });
}

function isInherited(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
  } catch {
    return false; // the one that listed the directory; it is closed already
  }
}
