import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { pino } from 'pino';
import { afterAll, expect, test, vi } from 'vitest';
import { StartLog } from '../../src/broker/start-log.ts';
import { blockBytes } from '../../src/journal/header.ts';
import { segmentName } from '../../src/journal/scan.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { bookIn, journalIn } from '../../src/store/layout.ts';
import { RecoveryReport } from '../../src/store/recovery-report.ts';
import { loadAt } from '../conformance/records.ts';
import { until } from '../until.ts';
import { damage, filled, Scratch, segmentBytes, writing } from './fixture.ts';
import { endOfRun } from './tail.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

/** What a start says. */
async function startOf(directory: string): Promise<{ stages: string[]; found: string[] }> {
  const [stages, found]: [string[], string[]] = [[], []];
  const store = journalStoreIn(directory, { segmentBytes });
  await store.load({
    ...loadAt(1),
    progress: (stage) => stages.push(stage),
    found: (what) => found.push(what),
  });
  await store.close();
  return { stages, found };
}

test('a start says what it does, and what it found; the next one found nothing', async () => {
  const directory = scratch.path();
  await (await filled(directory)).close();
  const { segments, segment, byte, sequence } = await endOfRun(directory);
  damage(`${journalIn(directory)}/${segmentName(segment)}`, byte, Buffer.alloc(300, 7));
  for (const file of ['', '-wal', '-shm']) rmSync(`${bookIn(directory)}${file}`, { force: true });
  const { stages, found } = await startOf(directory);
  expect(sequence).toBe(74);
  expect(stages.slice(0, segments)).toEqual(
    Array.from({ length: segments }, (_, at) => `reading segment ${at + 1} of ${segments}`),
  );
  expect(stages[segments]).toBe('cutting a torn tail of 300 bytes, kept as journal.torn-1');
  expect(stages[segments + 1]).toBe('folding batch 1 of 74');
  expect(stages.at(-1)).toBe('entering 74 batches into the book');
  expect(found).toEqual([
    'the journal had a torn tail, which a crash leaves: 300 bytes behind batch 74 were never synced, and were cut; they are kept as journal.torn-1',
    'the book was 74 batches behind the journal, and was caught up',
  ]);
  const again = await startOf(directory);
  expect(again.found).toEqual([]);
  expect(again.stages.filter((stage) => !/^(reading segment|folding batch) /.test(stage))).toEqual([]);
});

test('segments before the first that is needed are said to be ignored', async () => {
  const directory = scratch.path();
  await using writer = await writing(directory);
  await until(() => writer.journal.first > 20, 'segments are released');
  await writer.stop();
  const { found: before } = await startOf(directory);
  const ignored = Number(/^(\d+) segments? of the journal/.exec(before.join())?.[1] ?? 0);
  writeFileSync(`${journalIn(directory)}/${segmentName(1)}`, Buffer.alloc(2 * blockBytes, 7));
  const { found } = await startOf(directory);
  expect(found.join('\n')).toMatch(
    new RegExp(`^${ignored + 1} segments? of the journal that nothing needs any more: `),
  );
});

test('what is written again is said', async () => {
  const directory = scratch.path();
  const writer = await writing(directory);
  await writer.stop();
  const journal = journalIn(directory);
  const [first] = readdirSync(journal).filter((name) => name.endsWith('.journal'));
  const again = async () => (await startOf(directory)).found.filter((what) => what.includes('written again'));
  damage(`${journal}/${first}`, 0, Buffer.alloc(100));
  expect(await again()).toEqual([expect.stringContaining(`the head of ${first} was`)]);
  writeFileSync(`${journal}/journal.json`, '');
  expect(await again()).toEqual([expect.stringContaining('journal.json was')]);
  expect(await again()).toEqual([]);
});

test('no copy of a torn tail is said, too', () => {
  const found: string[] = [];
  new RecoveryReport({ found: (what) => found.push(what) }).cut(3, 8192, undefined);
  expect(found).toEqual([expect.stringMatching(/8192 bytes behind batch 3 .* no space to keep a copy$/)]);
});

test('a book that a full disk leaves behind is not said to be caught up', () => {
  const found: string[] = [];
  const report = new RecoveryReport({ found: (what) => found.push(what) });
  report.entered(true);
  report.behind();
  report.entered(true);
  expect(found).toEqual([
    expect.stringMatching(/^the book was 1 batch behind the journal, which the full disk leaves it/),
  ]);
});

test('a million batches are told of a hundred times', () => {
  const stages: string[] = [];
  const report = new RecoveryReport({ progress: (stage) => stages.push(stage) });
  for (let at = 1; at <= 1_000_000; at++) report.folding(at, 1, 1_000_000);
  expect(stages).toHaveLength(100);
  expect([stages[0], stages.at(-1)]).toEqual(['folding batch 1 of 1000000', 'folding batch 990001 of 1000000']);
});

test('on the log: what was found at once, a stage once the start has taken a second, and never twice', () => {
  vi.useFakeTimers();
  try {
    const lines: Record<string, unknown>[] = [];
    const stages: string[] = [];
    const start = new StartLog(pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) }), (stage) =>
      stages.push(stage),
    );
    start.stage('a');
    start.found('b');
    expect(lines).toMatchObject([{ component: 'store', msg: 'b' }]);
    vi.advanceTimersByTime(999);
    expect(lines).toHaveLength(1);
    vi.advanceTimersByTime(5000);
    expect(lines.slice(1)).toMatchObject([{ stage: 'a', msg: 'the start takes a while' }]);
    start.stage('c');
    start.stage('d');
    vi.advanceTimersByTime(1000);
    expect(lines.slice(2)).toMatchObject([{ stage: 'd' }]);
    start.stage('e');
    start[Symbol.dispose]();
    vi.advanceTimersByTime(5000);
    expect(lines).toHaveLength(3);
    expect(stages).toEqual(['a', 'c', 'd', 'e']);
  } finally {
    vi.useRealTimers();
  }
});
