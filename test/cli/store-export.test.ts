/** What is exported is imported again exactly; what is not whole is refused, and leaves nothing behind. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyStore } from '../../src/archive/verify.ts';
import { exportedTask, importedTask, lineOf, lineSchema, parseLine } from '../../src/cli/export-lines.ts';
import { exportStore } from '../../src/cli/store-export.ts';
import { importStore } from '../../src/cli/store-import.ts';
import { limitTable } from '../../src/protocol/limits.ts';
import { encodeValue } from '../../src/protocol/msgpack.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { bookIn } from '../../src/store/layout.ts';
import type { WholeTask } from '../../src/store/new-store.ts';
import { loadAt, specOf } from '../conformance/records.ts';
import {
  contentOf,
  expiredBeforeMs,
  filesOf,
  filled,
  idOf,
  Scratch,
  segmentBytes,
  taskCount,
  trimmedSeq,
} from '../store/fixture.ts';
import { speak } from '../tables/spoken.ts';

const scratch = new Scratch();
const options = { version: '1.2.3', wallMs: 5000, progress: () => {} };
let sound: string;
let open: string;
let lines: string[];
beforeAll(async () => {
  sound = scratch.path('sound');
  mkdirSync(sound);
  const store = await filled(sound);
  open = scratch.copy(sound); // what ended is in the journal only, or in the write-ahead file
  await store.close();
  const file = scratch.path('sound.jsonl');
  await exportStore(sound, file, options);
  lines = readFileSync(file, 'utf8').trimEnd().split('\n');
});
afterAll(() => scratch[Symbol.dispose]());

test.each(['sound', 'open'])(
  'an export of a %s store, imported: the same tasks, bodies, attempts and settings',
  async (which) => {
    const directory = scratch.copy(which === 'open' ? open : sound);
    const before = which === 'open' ? undefined : filesOf(directory);
    const [file, to] = [scratch.path(), scratch.path()];
    const exported = await exportStore(directory, file, options);
    if (before !== undefined) expect(filesOf(directory)).toEqual(before);
    expect(exported).toMatchObject({ file, tasks: taskCount, settings: 1 });
    expect(statSync(file).mode & 0o077).toBe(0);
    const imported = await importStore(file, to, () => {});
    expect(imported).toMatchObject({ directory: to, tasks: taskCount, settings: 1, epoch: 2 });
    expect((await verifyStore(to, { isMoving: false })).findings).toEqual([]);
    expect(await contentOf(to)).toEqual(await contentOf(scratch.copy(sound)));
  },
);

test('of a store whose book is behind, or not there, the journal has the rest', async () => {
  const directory = scratch.copy(sound);
  rmSync(join(directory, 'book.db'));
  const [file, to] = [scratch.path(), scratch.path()];
  await exportStore(directory, file, options);
  await importStore(file, to, () => {});
  expect(await contentOf(to)).toEqual(await contentOf(scratch.copy(sound)));
});

test('what was deleted is not in it, also when the book does not know yet; what was trimmed has no bodies', async () => {
  const directory = scratch.copy(sound);
  const store = journalStoreIn(directory, { segmentBytes });
  await store.load(loadAt(1));
  const copy = scratch.copy(bookIn(directory));
  await store.commit([
    { kind: 'purged', seqs: [1] },
    { kind: 'trimmed', seqs: [9] },
  ]);
  await store.close();
  for (const end of ['-wal', '-shm']) rmSync(bookIn(directory) + end, { force: true });
  copyFileSync(copy, bookIn(directory));
  const file = scratch.path();
  await exportStore(directory, file, options);
  const tasks = readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => (line.startsWith('{"task"') ? [JSON.parse(line).task] : []));
  const all = Array.from({ length: taskCount - 1 }, (_, at) => at + 2);
  expect(tasks.map(({ seq }) => seq)).toEqual(all);
  const withBodies = ({ spec, result }: { spec: object; result?: object }) => ['payload' in spec, result !== undefined];
  const of = (seq: number) => withBodies(tasks.find((task) => task.seq === seq));
  expect([of(trimmedSeq), of(9), of(13)]).toEqual([
    [false, false],
    [false, false],
    [true, true],
  ]);
});

test('a line is JSON that other programs read: bodies as values, integers of 64 bits in all their digits', () => {
  expect(JSON.parse(lines[0]!)).toMatchObject({
    deye_export: 1,
    version: '1.2.3',
    made_at_ms: 5000,
    next_seq: taskCount + 1,
    expired_before_ms: expiredBeforeMs,
  });
  expect(JSON.parse(lines[1]!)).toEqual({ setting: { key: 'strategy', value: 'round_robin' } });
  expect(JSON.parse(lines[2]!).task).toMatchObject({
    seq: 1,
    state: 'completed',
    spec: { id: idOf(1), operation: 'scan', payload: { json: { seq: 1 } } },
    attempts: [{ attempt: 1, collector_id: 'c1', outcome: 'completed' }],
  });
  expect(lines[2]).toContain('"result":{"json":[1,1152921504606846976]}');
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ end: { tasks: taskCount, settings: 1 } });
});

describe('bodies', () => {
  const roundTrip = (payload: Uint8Array): { readonly body: object | undefined; readonly bytes: Uint8Array } => {
    const whole = { task: { ...task, spec: specOf(idOf(1), { payload }) }, result: undefined, attempts: [] };
    const line = lineSchema.parse(parseLine(lineOf(exportedTask(whole))));
    if (!('task' in line)) throw new Error('no task');
    return { body: line.task.spec.payload, bytes: importedTask(line.task).task.spec.payload as Uint8Array };
  };
  const task: WholeTask['task'] = {
    ...{ seq: 1, spec: specOf(idOf(1)), submittedAtMs: 1, state: 'pending', attempt: 0, token: '', atMs: 1 },
    ...{ collectorId: undefined, readyAtMs: undefined, delayMs: undefined, error: undefined, excluded: [] },
  };

  test.each([
    ['a number', encodeValue(42), 'json'],
    ['nil', encodeValue(null), 'json'],
    ['the largest integer', encodeValue(2n ** 64n - 1n), 'json'],
    ['the smallest integer', encodeValue(-(2n ** 63n)), 'json'],
    ['text that no terminal should see', encodeValue('\u001b[31m\u2028\u{e0001}'), 'json'],
    ['an integer in more bytes than it needs', Uint8Array.of(0xcd, 0, 1), 'msgpack'],
    ['1.0, which is no integer', Uint8Array.of(0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0), 'msgpack'],
    ['minus zero', Uint8Array.of(0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0), 'msgpack'],
    ['not a number', Uint8Array.of(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0), 'msgpack'],
    ['bytes', encodeValue(Uint8Array.of(1, 2, 3)), 'msgpack'],
    ['keys in an order that objects do not keep', Uint8Array.of(0x82, 0xa1, 0x32, 1, 0xa1, 0x31, 2), 'msgpack'],
    ['a key that touches a prototype', Uint8Array.of(0x81, 0xa9, ...Buffer.from('__proto__'), 1), 'msgpack'],
    ['what is no MessagePack', Uint8Array.of(0xc1), 'msgpack'],
  ])('%s', (_, payload, form) => {
    const { body, bytes } = roundTrip(payload);
    expect(Object.keys(body!)).toEqual([form]);
    expect([...bytes]).toEqual([...payload]);
  });

  test('none', () => expect(roundTrip(new Uint8Array(0))).toEqual({ body: undefined, bytes: new Uint8Array(0) }));

  test('any bytes, and any value', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (bytes) => {
        expect([...roundTrip(bytes).bytes]).toEqual([...bytes]);
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const bytes = encodeValue(value);
        expect([...roundTrip(bytes).bytes]).toEqual([...bytes]);
      }),
    );
  });
});

describe('refused, with nothing left of the try', () => {
  const refused = async (text: string, error: object): Promise<void> => {
    const [file, to] = [scratch.path(), scratch.path()];
    writeFileSync(file, text);
    await expect(importStore(file, to, () => {})).rejects.toMatchObject(error);
    expect(existsSync(to)).toBe(false);
    expect(readdirSync(scratch.root).filter((name) => name.includes('unfinished'))).toEqual([]);
  };
  const code = 'export_damaged';
  /** The lines with a last one that agrees with them. */
  const sealed = (body: readonly string[]): string => {
    const text = `${body.join('\n')}\n`;
    const tasks = body.filter((line) => line.startsWith('{"task"')).length;
    const settings = body.filter((line) => line.startsWith('{"setting"')).length;
    return text + lineOf({ end: { settings, tasks, crc: crc32(text) } });
  };

  test('cut off: anywhere', async () => {
    const text = `${lines.join('\n')}\n`;
    await refused('', { code, message: expect.stringContaining('does not begin as an export') });
    await refused(text.slice(0, 50), { code, message: expect.stringContaining('cut off in line 1') });
    await refused(text.slice(0, text.length >> 1), {
      code,
      message: expect.stringMatching(/cut off in line \d+.*export again/),
    });
    await refused(text.slice(0, -1), { code, message: expect.stringContaining('cut off in line') });
    await refused(`${lines.slice(0, -1).join('\n')}\n`, {
      code,
      message: expect.stringContaining('its last line, with the counts, is missing'),
    });
  });

  test('a line that is gone, changed, doubled, out of order, or too much', async () => {
    const [end] = lines.slice(-1);
    const body = lines.slice(0, -1);
    const whole = (rest: readonly string[]): string => `${[...rest, end].join('\n')}\n`;
    await refused(whole(body.toSpliced(5, 1)), { code, message: expect.stringContaining('39 tasks') });
    await refused(whole(body).replace('"operation":"scan"', '"operation":"scam"'), {
      code,
      message: expect.stringContaining('it has changed'),
    });
    await refused(sealed(body.toSpliced(5, 0, body[5]!)), { code, message: expect.stringContaining('out of order') });
    await refused(sealed(body.toSpliced(4, 0, body[7]!)), { code, message: expect.stringContaining('out of order') });
    await refused(`${whole(body)}${end}\n`, { code, message: expect.stringContaining('something follows') });
    await refused(sealed([...body, '{"what":1}']), {
      code,
      message: expect.stringMatching(/line 43 is no line of an export/),
    });
    await refused(sealed([...body, '{']), { code, message: expect.stringContaining('line 43 is no JSON') });
  });

  test('a value that no task may have; an id that is there twice, both alive, or one of them', async () => {
    const body = lines.slice(0, -1);
    const changed = (at: number, from: string, to: string): string => {
      expect(body[at]).toContain(from);
      return sealed(body.with(at, body[at]!.replace(from, to)));
    };
    await refused(changed(4, '"state":"retrying"', '"state":"dreaming"'), {
      code,
      message: expect.stringContaining('line 5'),
    });
    await refused(changed(4, '"priority":100', '"priority":-1'), { code });
    await refused(changed(4, `"id":"${idOf(3)}"`, '"id":"x"'), { code, message: expect.stringContaining('UUIDv7') });
    // A line's place is its number plus one. Alive: 3, 4, 7; ended: 1, 2, 5.
    for (const [seq, as] of [
      [7, 3],
      [7, 1],
      [5, 3],
      [5, 1],
    ] as const)
      await refused(changed(seq + 1, `"id":"${idOf(seq)}"`, `"id":"${idOf(as)}"`), {
        code,
        message: expect.stringContaining('is in it twice'),
      });
  });

  test('of a newer deye, or no export', async () => {
    await refused(lines.join('\n').replace('"deye_export":1', '"deye_export":2'), {
      code: 'export_newer',
      message: expect.stringMatching(/version 2; this deye knows up to 1/),
    });
    await refused('{"hello":"world"}\n', { code });
    await refused('\n', { code });
    await expect(importStore(join(scratch.root, 'none'), scratch.path(), () => {})).rejects.toMatchObject({
      code: 'store_unavailable',
    });
  });

  test('into a directory that holds something, to a file that is there', async () => {
    const file = scratch.path('sound.jsonl');
    await expect(importStore(file, sound, () => {})).rejects.toMatchObject({ code: 'target_exists' });
    await expect(exportStore(sound, file, options)).rejects.toMatchObject({ code: 'target_exists' });
    await expect(exportStore(sound, join(sound, 'none', 'x'), options)).rejects.toMatchObject({
      code: 'store_unavailable',
    });
  });

  test('a line beyond the limit', async () => {
    const file = scratch.path();
    writeFileSync(file, '');
    const refusal = async (bytes: number): Promise<string> => {
      truncateSync(file, bytes);
      return importStore(file, scratch.path(), () => {}).then(
        () => 'imported',
        (error: Error) => error.message,
      );
    };
    const limit = limitTable.exportLineBytesMax.value;
    expect(await refusal(limit)).toContain('is cut off in line 1');
    expect(await refusal(limit + 1)).toContain('line 1 is longer than 268435456 bytes');
    speak('exportLineBytesMax');
  });
});

test('an imported store without its book is not whole, and does not start', async () => {
  const [file, to] = [scratch.path('for-book.jsonl'), scratch.path()];
  await exportStore(sound, file, options);
  await importStore(file, to, () => {});
  expect((await verifyStore(to, { isMoving: false })).is_whole).toBe(true);
  for (const suffix of ['', '-wal', '-shm']) rmSync(bookIn(to) + suffix, { force: true });
  const { is_whole, findings } = await verifyStore(to, { isMoving: false });
  expect([is_whole, findings.map(({ message }) => message).join()]).toEqual([
    false,
    expect.stringContaining('what lies between is missing'),
  ]);
  await expect(journalStoreIn(to).load(loadAt(1))).rejects.toMatchObject({ code: 'store_corrupt' });
});

test('what counts goes on behind the highest number ever used', async () => {
  const [file, to] = [scratch.path(), scratch.path()];
  const body = lines.slice(0, -1).map((line) => line.replace(`"next_seq":${taskCount + 1}`, '"next_seq":1000'));
  const text = `${body.join('\n')}\n`;
  writeFileSync(file, text + lineOf({ end: { settings: 1, tasks: taskCount, crc: crc32(text) } }));
  await importStore(file, to, () => {});
  expect((await contentOf(to))[2]).toBe(1000);
});
