/** The last lines of the broker's log, and those that follow. */
import { createReadStream, statSync, watchFile } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { defaultStateDir } from '../transport/address.ts';
import { UsageError } from './error.ts';
import { prettyLogLine } from './log-line.ts';

/** Enough for the last few thousand lines without reading a log of any size. */
const tailBytes = 4 * 1024 * 1024;

export async function followLog(
  stateDir: string | undefined,
  { lines, follow, raw }: { lines: number; follow: boolean; raw: boolean },
  print: (line: string) => void,
): Promise<void> {
  const path = join(stateDir ?? defaultStateDir(), 'broker.log');
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined)
    throw new UsageError(
      `There is no log at ${path}: no broker was started in the background with this state directory.`,
    );
  const show = (line: string) => print(raw ? line : prettyLogLine(line));
  const last: string[] = [];
  await read(path, Math.max(0, size - tailBytes), (line) => {
    last.push(line);
    if (last.length > lines) last.shift();
  });
  for (const line of last) show(line);
  if (!follow) return;
  let from = size;
  await new Promise<never>(() => {
    watchFile(path, { interval: 200 }, (now) => {
      if (now.size < from) from = 0; // it was emptied
      if (now.size === from) return;
      const start = from;
      from = now.size;
      void read(path, start, show);
    });
  });
}

async function read(path: string, start: number, line: (text: string) => void): Promise<void> {
  for await (const text of createInterface({ input: createReadStream(path, { start }) })) line(text);
}
