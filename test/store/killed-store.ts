/**
 * A program: a store on real files that commits one thing after the other and kills itself at the n-th time of a named
 * step. What it commits follows from the number of the commit, and the number is committed with it, so that the next one
 * knows what must be there. Says, on its standard output, what it found at its start and what was answered.
 */
import { mkdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Book } from '../../src/book/port.ts';
import { ThreadedBook } from '../../src/book/threaded-book.ts';
import type { StoreRecord } from '../../src/core/record.ts';
import type { Disk, DiskFile } from '../../src/journal/disk.ts';
import { fileDisk } from '../../src/journal/file-disk.ts';
import { headerBytes } from '../../src/journal/header.ts';
import { openJournal } from '../../src/journal/open.ts';
import { JournalStore } from '../../src/store/journal-store.ts';
import { storeSizes } from '../../src/store/sizes.ts';
import { witnessesOf } from '../../src/store/witnesses.ts';
import { moved, submitted } from '../conformance/records.ts';
import { difference, type Expected, expectedAfter, nothingExpected } from './expected.ts';
import type { KillPoint } from './kill-points.ts';
import { smallSizes } from './twin-store.ts';

const [directory = '', point = '', nth = '1'] = process.argv.slice(2);
const commits = 80;
const segmentBytes = 8 * 4096;

const say = (text: string): void => void writeSync(1, `${text}\n`);
let left = Number(nth);
const isLast = (name: KillPoint): boolean => name === point && --left === 0;
const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('killed');
};
const pass = (name: KillPoint): void => {
  if (isLast(name)) die();
};

function kindOf(
  parts: readonly Uint8Array[],
  position: number,
): 'records' | 'seal' | 'close' | 'floor' | 'head' | 'zeros' {
  const header = parts[0]!;
  if (position === 0) return 'head';
  if (header.length !== headerBytes) return 'zeros';
  if (header[32] === 3) return 'close';
  if (header[33] === 1) return 'floor';
  return header[32] === 2 ? 'seal' : 'records';
}

const killingFile = (file: DiskFile): DiskFile => ({
  ...file,
  async write(parts, position) {
    const kind = kindOf(parts, position);
    pass(`${kind} before`);
    if (isLast(`${kind} half`)) {
      const all = Buffer.concat(parts);
      await file.write([all.subarray(0, all.length / 2)], position);
      die();
    }
    await file.write(parts, position);
    pass(`${kind} written`);
  },
  async sync() {
    pass('file before sync');
    await file.sync();
    pass('file synced');
  },
});

function killingDisk(disk: Disk): Disk {
  return {
    ...disk,
    async open(name, how) {
      if (how.create) pass('file created');
      return killingFile(await disk.open(name, how));
    },
    async rename(from, to) {
      await disk.rename(from, to);
      pass('file renamed');
    },
    async remove(name) {
      await disk.remove(name);
      pass('file removed');
    },
    async sync() {
      pass('directory before sync');
      await disk.sync();
      pass('directory synced');
    },
  };
}

function killingBook(book: Book): Book {
  return {
    open: () => book.open(),
    async apply(records, position) {
      pass('book before apply');
      const applied = book.apply(records, position);
      pass('book while it applies');
      const ms = await applied;
      pass('book applied');
      return ms;
    },
    async checkpoint() {
      pass('book before checkpoint');
      const saved = book.checkpoint();
      pass('book while it saves');
      const position = await saved;
      pass('book saved');
      return position;
    },
    show: (id) => book.show(id),
    attempts: (seq) => book.attempts(seq),
    states: (ids) => book.states(ids),
    list: (filter) => book.list(filter),
    expired: (expiry) => book.expired(expiry),
    newest: (wallMs, idsAheadMax) => book.newest(wallMs, idsAheadMax),
    shrink: (isAll) => book.shrink(isAll),
    size: () => book.size(),
    check: () => book.check(),
    copyTo: (path) => book.copyTo(path),
    close: () => book.close(),
  };
}

/** The commit of this number. */
function commitOf(number: number): StoreRecord[] {
  const records: StoreRecord[] = [
    submitted(number, `t${number}`, { payload: new Uint8Array((number * 97) % 1500).fill(number) }),
    { kind: 'setting', namespace: 'default', key: 'commit', value: String(number) },
  ];
  // Every fifth task lives on for ever, so that there is something to be written again; as many as a segment holds.
  const taken = number - 2;
  if (taken > 0) records.push(moved(taken, 'in_progress', { collectorId: 'c' }));
  const done = number - 4;
  if (done > 0 && (done % 5 > 0 || done > 50)) {
    const ended = { kind: 'attempt', seq: done, attempt: 1, collectorId: 'c', startedAtMs: 1, endedAtMs: 2 } as const;
    const result = done % 2 === 0 ? new Uint8Array(done % 300).fill(1) : undefined;
    records.push({ ...ended, outcome: 'completed', error: undefined }, moved(done, 'completed', { result }));
  }
  return records;
}

mkdirSync(join(directory, 'journal'), { recursive: true });
const timers: NodeJS.Timeout[] = [];
const store: JournalStore = new JournalStore({
  book: killingBook(new ThreadedBook(join(directory, 'book.db'))),
  openJournal: (position) =>
    openJournal({
      ...{ segmentBytes, sync: 'batch', sealMs: 1, wallMs: () => Date.now() },
      disk: killingDisk(fileDisk(join(directory, 'journal'))),
      later: (ms, run) => timers.push(setTimeout(run, ms)),
      randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
      failed: (error) => store.fail(error),
      witnesses: witnessesOf(directory, position),
    }),
  sizes: { ...storeSizes, ...smallSizes(segmentBytes) },
});
const { settings, expiredBeforeMs } = await store.load({ wallMs: Date.now(), idsAheadMax: 10 });
pass('loaded');
const last = Number(settings.get('commit') ?? 0);
let expected: Expected = nothingExpected;
for (let number = 1; number <= last; number++) expected = expectedAfter(expected, commitOf(number));
const everything = { states: [], operation: undefined, collectorId: undefined, beforeSeq: undefined, limit: 1e6 };
const tasks = new Map();
for (const { seq, spec } of await store.list(everything)) tasks.set(seq, await store.show(spec.id));
say(`found ${last} ${difference(expected, { tasks, settings, expiredBeforeMs }) ?? 'whole'}`);
for (let number = last + 1; number <= last + commits; number++) {
  await store.commit(commitOf(number));
  say(`answered ${number}`);
}
await store.close();
for (const timer of timers) clearTimeout(timer);
say('closed');
