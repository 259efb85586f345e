/** The twins are held to what the real ones are held to; what only a twin can do is tested here. */
import { afterAll, expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { realClock } from '../../src/time/clock.ts';
import { clockConformance } from '../conformance/clock.ts';
import { loadAt, submitted } from '../conformance/records.ts';
import { storeConformance } from '../conformance/store.ts';
import { ClockTwin, WallTwin } from './clock.ts';
import { type Fate, kindNature, StoreTwin } from './store.ts';
import { FarEnd } from './stream.ts';
import { Timeline } from './timeline.ts';

const clocks: Disposable[] = [];
afterAll(() => {
  for (const clock of clocks) clock[Symbol.dispose]();
});

clockConformance('real', () => {
  const clock = realClock();
  clocks.push(clock);
  return { clock, pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };
});

const passing = (timeline: Timeline) => async (ms: number) => {
  let isOver = false;
  timeline.after(ms, () => {
    isOver = true;
  });
  await timeline.run(() => isOver);
};

clockConformance('twin', () => {
  const timeline = new Timeline();
  const clock = new ClockTwin(timeline, new WallTwin(timeline, 1_800_000_000_000));
  return { clock, pass: passing(timeline) };
});

storeConformance('twin', () => {
  const disk = new MemoryStore();
  return { store: new StoreTwin(disk, kindNature), reopen: async () => new StoreTwin(disk, kindNature) };
});

test('the wall clock jumps and monotonic time does not', async () => {
  const timeline = new Timeline();
  const wall = new WallTwin(timeline, 5000);
  const clock = new ClockTwin(timeline, wall);
  wall.jump(-3000);
  await passing(timeline)(10);
  expect(clock.now()).toEqual({ monotonicMs: 1010, wallMs: 2010 });
});

test('nothing of a killed process happens', async () => {
  const timeline = new Timeline();
  const clock = new ClockTwin(timeline, new WallTwin(timeline, 0));
  const ran: string[] = [];
  clock.later(5, () => ran.push('later'));
  clock.wakeAt(1005, () => ran.push('wake'));
  clock.kill();
  await passing(timeline)(100);
  expect(ran).toEqual([]);
});

test.each<[Fate, number]>([
  ['done', 1],
  ['fails', 0],
  ['dies_before', 0],
  ['dies_after', 1],
  ['removed', 1],
])('a commit that is %s leaves %i task on the disk', async (fate, left) => {
  const disk = new MemoryStore();
  const store: StoreTwin = new StoreTwin(disk, {
    ...kindNature,
    fate: (work) => (work === 'commit' ? fate : 'done'),
    die: () => store.kill(),
  });
  await store.load(loadAt(0));
  const outcome = Promise.race([
    store.commit([submitted(1, 'a')]).then(
      () => 'done',
      () => 'fails',
    ),
    new Promise((resolve) => setTimeout(resolve, 20, 'silence')),
  ]);
  expect(await outcome).toBe(fate.startsWith('dies') ? 'silence' : fate === 'done' ? 'done' : 'fails');
  expect([...(await disk.load(loadAt(0))).tasks].length).toBe(left);
});

test('a check rejects when the files are gone, and nothing is written after it', async () => {
  const disk = new MemoryStore();
  let fate: Fate = 'done';
  const store = new StoreTwin(disk, { ...kindNature, fate: () => fate });
  await store.load(loadAt(0));
  await store.check();
  fate = 'removed';
  await expect(store.check()).rejects.toMatchObject({ code: 'store_removed' });
  fate = 'done';
  await expect(store.commit([submitted(1, 'a')])).rejects.toMatchObject({ name: 'StoreError' });
  expect([...(await disk.load(loadAt(0))).tasks]).toEqual([]);
});

test('a connection keeps the order of bytes, takes no more than its window, and ends after them', async () => {
  const timeline = new Timeline();
  const arrived: number[] = [];
  const sent: Buffer[] = [];
  let isClosed = false;
  const nature = {
    timeline,
    latencyMs: () => 5,
    windowBytes: 100,
    pieces: () => 3,
    cutAt: () => 4,
    fail: (error: unknown) => {
      throw error;
    },
  };
  const far = new FarEnd(nature, {
    sent: (chunk) => sent.push(chunk),
    arrived: (bytes) => arrived.push(bytes),
    closed: () => {
      isClosed = true;
    },
  });
  const got: Buffer[] = [];
  far.near.on('data', (chunk: Buffer) => got.push(chunk));
  const frame = encodeFrame([Kind.hello, { name: 'somebody' }]);
  far.write(frame);
  far.read(0, 0);
  let taken = 0;
  for (let times = 0; times < 4; times++) far.near.write(Buffer.alloc(60, times), () => taken++);
  await passing(timeline)(50);
  expect(Buffer.concat(got).equals(frame)).toBe(true);
  expect(got.length).toBe(3);
  expect({ taken, written: sent.length, arrived }).toEqual({ taken: 1, written: 2, arrived: [] });
  far.near.end();
  far.read(70, 10);
  await passing(timeline)(500);
  expect({ taken, bytes: arrived.reduce((sum, bytes) => sum + bytes, 0), isClosed }).toEqual({
    taken: 4,
    bytes: 240,
    isClosed: true,
  });
});
