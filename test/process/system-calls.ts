/** What a process asked of the system, in the order in which it happened, as `strace` writes it down. */
import { spawnSync } from 'node:child_process';
import { missing } from '../interop/missing.ts';

const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
/** For `skipIf`. */
export const cannotTrace: boolean = missing(!canTrace, 'strace, and leave to use ptrace');

const calls = 'write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,openat';
/** Larger than a batch of the submits that a test has in flight. */
const textBytesMax = 256 * 1024;

/** For `World.shell`: the program under strace, with its system calls in `file`. */
export const traced = (file: string, extra = ''): string =>
  `exec strace -f --seccomp-bpf -ttt -y -xx -s ${textBytesMax} -e signal=none -e trace=${calls} ${extra} -o '${file}' -- "$0" "$@"`;

export interface SystemCall {
  readonly name: string;
  readonly fd: number;
  /** What the descriptor stands for: a file's path, or `socket:[…]`. */
  readonly path: string;
  /** All that was to be written. */
  readonly bytes: Buffer;
  /** Arguments as they were written down. */
  readonly args: string;
  /** Places in the one order of all entries and returns. */
  readonly entered: number;
  returned: number | undefined;
  /** Undefined when it never returned. */
  result: number | undefined;
  readonly enteredAtMs: number;
  returnedAtMs: number | undefined;
}

const plain = (text: string): string =>
  text.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));

/** Only what is written to a file whose path `wants`, or to a socket, has its bytes. */
export function systemCalls(trace: string, wants: (path: string) => boolean): SystemCall[] {
  const found: SystemCall[] = [];
  const open = new Map<string, SystemCall>();
  for (const [at, line] of trace.split('\n').entries()) {
    const [, pid = '', seconds = '', rest = ''] = /^(\d+) +(\d+\.\d+) (.*)$/.exec(line) ?? [];
    const atMs = Number(seconds) * 1000;
    const end = (call: SystemCall): void => {
      const [, result] = / = (-?\d+)/.exec(rest.slice(rest.lastIndexOf(' = '))) ?? [];
      call.returned = at;
      call.returnedAtMs = atMs;
      call.result = result === undefined ? undefined : Number(result);
    };
    if (rest.startsWith('<... ')) {
      const call = open.get(pid);
      open.delete(pid);
      if (call !== undefined) end(call);
      continue;
    }
    const [, name, number, shown = ''] = /^(\w+)\((?:(\d+)<([^>]*)>)?/.exec(rest) ?? [];
    if (name === undefined) continue;
    const path = plain(shown);
    const bytes = path.startsWith('socket:') || wants(path) ? textsOf(rest) : Buffer.alloc(0);
    const args = name === 'openat' ? rest : '';
    const call: SystemCall = {
      ...{ name, fd: number === undefined ? -1 : Number(number), path, bytes, args, entered: at, enteredAtMs: atMs },
      ...{ returned: undefined, returnedAtMs: undefined, result: undefined },
    };
    found.push(call);
    if (rest.endsWith('<unfinished ...>')) open.set(pid, call);
    else end(call);
  }
  return found;
}

const textsOf = (line: string): Buffer =>
  Buffer.concat(
    [...line.matchAll(/"([^"]*)"/g)].map(([, text = '']) => Buffer.from(text.replaceAll('\\x', ''), 'hex')),
  );
