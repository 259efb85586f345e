/** What a command is waiting for, for a person who watches. */
import type { Progress } from '../store/progress.ts';
import { duration } from '../text/quantity.ts';

const barColumns = 24;
const elapsedEveryMs = 200;

/** Prints each new text once on standard error, when that is a terminal. */
export function progressLines(): (text: string) => void {
  let last = '';
  return (text) => {
    if (text !== last && process.stderr.isTTY) process.stderr.write(`${text} …\n`);
    last = text;
  };
}

interface ProgressBar extends Disposable {
  readonly progress: Progress;
}

/** A bar on standard error, when that is a terminal; it is wiped away at the end. */
export function progressBar(out: NodeJS.WriteStream = process.stderr): ProgressBar {
  let last = '';
  return {
    progress(what, done, all) {
      const text = barText(what, done, all);
      if (!out.isTTY || text === last) return;
      last = text;
      out.write(`\r\x1b[K${text}`);
    },
    [Symbol.dispose]() {
      if (last !== '') out.write('\r\x1b[K');
    },
  };
}

/** What a broker does for this command, and for how long, on standard error when that is a terminal; wiped away at the end. */
export function elapsedLine(what: string, out: NodeJS.WriteStream = process.stderr): Disposable {
  if (!out.isTTY) return { [Symbol.dispose]: () => {} };
  const startedMs = performance.now();
  const timer = setInterval(
    () => out.write(`\r\x1b[K${what} … ${duration(performance.now() - startedMs)}; Ctrl-C ends it`),
    elapsedEveryMs,
  ).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      out.write('\r\x1b[K');
    },
  };
}

function barText(what: string, done: number, all: number): string {
  const part = all === 0 ? 1 : Math.min(1, done / all);
  const full = Math.floor(part * barColumns);
  return `[${'#'.repeat(full)}${' '.repeat(barColumns - full)}] ${String(Math.floor(part * 100)).padStart(3)} % ${what}`;
}
