/** What a broker promises with its answers, read from its system calls. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { earlyAnswers, isSegment, type Seen, seenOf } from './barrier.ts';
import { ended, World } from './daemon.ts';
import { cannotTrace, systemCalls, traced } from './system-calls.ts';

const id = '0197a8e2-5c1e-7d43-9b1f-000000000001';
const hex = (text: string): string => Buffer.from(text).toString('hex').replaceAll(/../g, '\\x$&');
const file = `30<${hex('/s/journal/000000000001.journal')}>`;
const [socket, text] = [`34<${hex('socket:[7]')}>`, hex(`a ${id} z`)];

const opened = (flags: string): string => `openat(AT_FDCWD, "${hex('x')}", ${flags}, 0600) = ${file}`;
const write = `pwritev(${file}, [{iov_base="${hex('head')}", iov_len=4}, {iov_base="${text}", iov_len=40}], 2, 4096`;
const begin = `11 ${write} <unfinished ...>`;
const end = '11 <... pwritev resumed>) = 44';
const reply = `12 write(${socket}, "${text}", 40) = 40`;
const sync = `11 fdatasync(${file}) = 0`;

/** One task in a trace: lines of `pid call`, a millisecond apart. */
function seenIn(flags: string, ...lines: string[]): Seen & { readonly isEarly: boolean } {
  const all = [`11 ${opened(flags)}`, ...lines].map((line, at) =>
    line.replace(' ', ` 1000.${String(at).padStart(3, '0')} `),
  );
  const seen = seenOf(systemCalls(all.join('\n'), isSegment), [id]);
  return { ...seen.get(id)!, isEarly: earlyAnswers(seen).length > 0 };
}

describe('the check of a trace', () => {
  const whole = `11 ${write}) = 44`;
  test.each<[string, boolean, string, string[]]>([
    ['a write that is a sync, then the reply', false, 'O_RDWR|O_DSYNC', [begin, end, reply]],
    ['the same in one line', false, 'O_RDWR|O_DSYNC', [whole, reply]],
    ['a write, its sync, then the reply', false, 'O_RDWR', [begin, end, sync, reply]],
    ['the reply while it is being written', true, 'O_RDWR|O_DSYNC', [begin, reply, end]],
    ['the reply before all', true, 'O_RDWR|O_DSYNC', [reply, begin, end]],
    ['a first of two replies that is early', true, 'O_RDWR|O_DSYNC', [begin, reply, end, reply]],
    ['a reply without any write', true, 'O_RDWR|O_DSYNC', [reply]],
    [
      'a write that fails',
      true,
      'O_RDWR|O_DSYNC',
      [begin, '11 <... pwritev resumed>) = -1 EIO (Input/output error)', reply],
    ],
    ['a write that stops before the task', true, 'O_RDWR|O_DSYNC', [begin, '11 <... pwritev resumed>) = 4', reply]],
    ['a write without a sync', true, 'O_RDWR', [begin, end, reply]],
    [
      'a sync that is under way',
      true,
      'O_RDWR',
      [begin, end, `11 fdatasync(${file} <unfinished ...>`, reply, '11 <... fdatasync resumed>) = 0'],
    ],
    ['a sync that began before the write was done', true, 'O_RDWR', [begin, `13 fdatasync(${file}) = 0`, end, reply]],
    ['a sync that fails', true, 'O_RDWR', [begin, end, `11 fdatasync(${file}) = -1 EIO (Input/output error)`, reply]],
    ['a sync of another file', true, 'O_RDWR', [begin, end, `11 fdatasync(${file.replace('30', '31')}) = 0`, reply]],
    [
      'a descriptor that was given anew without O_DSYNC',
      true,
      'O_RDWR|O_DSYNC',
      [`11 ${opened('O_RDWR')}`, begin, end, reply],
    ],
  ])('%s', (_, isEarly, flags, lines) => {
    expect(seenIn(flags, ...lines)).toMatchObject({ answered: expect.any(Number), isEarly });
  });

  test('no answer is not early, and it is not taken for one', () => {
    expect(seenIn('O_RDWR|O_DSYNC', begin, end)).toMatchObject({ answered: undefined, isEarly: false });
  });

  test('says how long after the write the sync was done', () => {
    expect(seenIn('O_RDWR', begin, end, reply, sync).syncedAfterMs).toBeCloseTo(2);
    expect(seenIn('O_RDWR', begin, end, reply).syncedAfterMs).toBeUndefined();
  });
});

/** Submits so many, never more than `depth` unanswered, and answers with their ids and what their answers say of the sync. */
async function submits(
  world: World,
  count: number,
  depth: number,
  bytes = 0,
): Promise<{ ids: string[]; syncs: Set<string> }> {
  const client = await world.client();
  const payload = { text: 'x'.repeat(bytes) };
  const ids = Array.from({ length: count }, () => uuidv7());
  const syncs = new Set<string>();
  const left = [...ids];
  const one = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop())
      syncs.add((await client.request('task.submit', { operation: 'scan', id: next, payload })).sync);
  };
  await Promise.all(Array.from({ length: depth }, one));
  await client.close();
  return { ids, syncs };
}

/** A broker under strace; the answer ends it and reads what it did. */
async function tracedBroker(world: World): Promise<(ids: readonly string[]) => Promise<Map<string, Seen>>> {
  const trace = join(world.directory, 'trace');
  const broker: ChildProcess = world.shell(traced(trace), 'broker', 'start', '--foreground', '--no-collectors');
  await world.ready();
  return async (ids) => {
    expect((await world.run(['broker', 'stop'])).code).toBe(0);
    await ended(broker);
    const calls = systemCalls(readFileSync(trace, 'latin1'), isSegment);
    return seenOf(calls, ids);
  };
}

const unanswered = (seen: ReadonlyMap<string, Seen>): string[] =>
  [...seen].flatMap(([one, { answered }]) => (answered === undefined ? [one] : []));

describe.skipIf(cannotTrace)('a broker under strace', () => {
  test.each([
    [1, 300, 0, 1],
    [16, 1000, 6000, 2],
    [256, 1000, 0, 1],
  ])('with %i in flight: no answer leaves before its batch is on the disk', async (depth, count, bytes, segments) => {
    await using world = new World();
    const read = await tracedBroker(world);
    const { ids, syncs } = await submits(world, count, depth, bytes);
    const seen = await read(ids);
    expect([...syncs]).toEqual(['batch']);
    expect(unanswered(seen)).toEqual([]);
    expect(earlyAnswers(seen)).toEqual([]);
    const batches = new Set(Array.from(seen.values(), ({ written }) => written)).size;
    console.log(`${depth} in flight: ${batches} batches`);
    expect(new Set(Array.from(seen.values(), ({ segment }) => segment)).size).toBe(segments);
    if (depth === 1) expect(batches).toBe(count);
    else expect(batches).toBeLessThan(count / 4);
  });

  test('a broker that answers before its commit is done is found', async () => {
    await using world = new World();
    const preload = join(world.directory, 'preload.mjs');
    writeFileSync(
      preload,
      `if (process.argv.includes('--foreground')) {
        const { JournalStore } = await import(${JSON.stringify(new URL('../../dist/src/store/journal-store.js', import.meta.url).href)});
        const { commit } = JournalStore.prototype;
        JournalStore.prototype.commit = async function (records) { void commit.call(this, records); };
      }`,
    );
    world.env.NODE_OPTIONS = `--import=${preload}`;
    const read = await tracedBroker(world);
    delete world.env.NODE_OPTIONS;
    const { ids } = await submits(world, 200, 16);
    const seen = await read(ids);
    expect(unanswered(seen)).toEqual([]);
    expect(earlyAnswers(seen).length).toBeGreaterThan(100);
  });

  test('with sync: 100ms every answer says so, none leaves before it is written, and the sync follows soon', async () => {
    await using world = new World();
    world.env.DEYE_SYNC = '100ms';
    const read = await tracedBroker(world);
    const { ids, syncs } = await submits(world, 1000, 16);
    const seen = await read(ids);
    expect([...syncs]).toEqual(['100ms']);
    expect(unanswered(seen)).toEqual([]);
    expect(earlyAnswers(seen, 'written')).toEqual([]);
    expect(earlyAnswers(seen).length).toBeGreaterThan(900); // this is what it saves
    const delays = Array.from(seen.values(), ({ syncedAfterMs = Number.POSITIVE_INFINITY }) => syncedAfterMs);
    console.log(`synced after ${Math.max(...delays).toFixed(0)} ms at most`);
    expect(Math.max(...delays)).toBeLessThan(1000);
  });
});
