/** A backup holds all that was acknowledged when it ended, restores to a store that a broker runs on, and is refused when it is not whole. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
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
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readContents } from '../../src/archive/contents.ts';
import { restoreBackup } from '../../src/archive/restore.ts';
import { verifyStore } from '../../src/archive/verify.ts';
import { connect, defineCollector } from '../../src/index.ts';
import { fileDisk } from '../../src/journal/file-disk.ts';
import { surveyJournal } from '../../src/journal/survey.ts';
import { backupAtRest, copyStore } from '../../src/store/backup.ts';
import { fileChecksum } from '../../src/store/copy-file.ts';
import { bookIn, journalIn } from '../../src/store/layout.ts';
import { type Manifest, readManifest, writeManifest } from '../../src/store/manifest.ts';
import { buildDirectory } from '../../src/store/new-directory.ts';
import { backupRunning } from '../../src/store/running-backup.ts';
import { until } from '../until.ts';
import { brokerOn } from './broker.ts';
import { contentOf, damage, filesOf, Scratch, writing, written } from './fixture.ts';

const scratch = new Scratch();
const options = { version: '1.2.3', wallMs: 5000 };
const still = { hold: (): void => {}, sync: async (): Promise<void> => {} };
let sound: string;
let backup: string;
beforeAll(async () => {
  sound = await scratch.sound();
  backup = scratch.path('backup');
  await backupAtRest(sound, backup, options);
});
afterAll(() => scratch[Symbol.dispose]());

test('a store at rest: copied whole, closed to others, itself not touched; restored, it holds the same', async () => {
  const before = filesOf(sound);
  const to = scratch.path();
  const told: string[] = [];
  const manifest = await backupAtRest(sound, to, {
    ...options,
    progress: (what, done, all) => told.push(`${what} ${done <= all}`),
  });
  expect(filesOf(sound)).toEqual(before);
  expect(new Set(told)).toEqual(
    new Set(['reading the journal true', 'copying the book true', 'copying the journal true']),
  );
  expect(manifest).toMatchObject({ format: 1, version: '1.2.3', made_at_ms: 5000, epoch: 1 });
  expect(manifest.files.map(({ name }) => name)).toContain('journal/000000000003.journal');
  expect(statSync(to).mode & 0o077).toBe(0);
  for (const name of filesOf(to).keys()) expect(statSync(join(to, name)).mode & 0o077, name).toBe(0);

  const restored = scratch.path();
  const { epoch, sequence } = await restoreBackup(to, restored);
  expect([epoch, sequence]).toEqual([2, manifest.sequence]);
  expect((await verifyStore(restored, { isMoving: false })).findings).toEqual([]);
  expect(await contentOf(restored)).toEqual(await contentOf(scratch.copy(sound)));
  expect(readdirSync(scratch.root).filter((name) => name.includes('unfinished'))).toEqual([]);
});

test('the backup of a restored store restores, too', async () => {
  const restored = scratch.path();
  await restoreBackup(backup, restored);
  await backupAtRest(restored, scratch.path('second'), options);
  expect((await restoreBackup(scratch.path('second'), scratch.path())).epoch).toBeGreaterThan(2);
});

test('beside a writer: what was acknowledged before is in it, and it is a store', async () => {
  const directory = scratch.path();
  await using writer = await writing(directory);
  await until(() => writer.acknowledged > 50, 'it writes');
  const to = scratch.path();
  const before = writer.acknowledged;
  const manifest = await backupRunning(directory, writer.journal, to, options);
  await writer.stop();
  expect(manifest.sequence).toBeGreaterThanOrEqual(before);
  const restored = scratch.path();
  await restoreBackup(to, restored);
  expect((await verifyStore(restored, { isMoving: false })).is_whole).toBe(true);
  await using survey = await surveyJournal(fileDisk(journalIn(restored), { readOnly: true }));
  const sequences = survey!.segments.flatMap(({ batches }) => batches.map(({ sequence }) => sequence));
  expect(Math.max(...sequences)).toBe(manifest.sequence);
});

test('nothing is released under a backup, and everything may be after it', async () => {
  const directory = scratch.path();
  await using writer = await writing(directory);
  await until(() => writer.journal.first > 20, 'it releases');
  const holds: (number | undefined)[] = [];
  const journal = {
    ...{ storeId: writer.journal.storeId, epoch: 1, first: writer.journal.first },
    get synced() {
      return writer.journal.synced;
    },
    sync: () => writer.journal.sync(),
    hold: (name: string, sequence: number | undefined) => {
      holds.push(sequence);
      writer.journal.hold(name, sequence);
    },
  };
  await backupRunning(directory, journal, scratch.path(), options);
  expect(holds).toEqual([journal.first, undefined]);
  const after = writer.journal.first;
  await until(() => writer.journal.first > after, 'it releases again');
});

test('up to whatever batch, also the last of a segment', async () => {
  const directory = scratch.path();
  const batches = await written(directory, 30);
  for (const { sequence, crc } of batches) {
    const to = scratch.path();
    mkdirSync(to);
    const position = async () => ({ storeId: 'ab', epoch: 1, synced: { sequence, crc } });
    const { files } = await copyStore(directory, to, true, position, options);
    await using survey = await surveyJournal(fileDisk(journalIn(to), { readOnly: true }));
    const copied = survey!.segments.flatMap(({ batches: own }) => own);
    expect(copied.findLast(({ kind }) => kind === 'records')).toMatchObject({ sequence, crc });
    expect(files).toHaveLength(survey!.segments.length + 1);
  }
});

test('a copy that is not up to what was synced is no backup', async () => {
  const directory = scratch.path();
  const { sequence, crc } = (await written(directory, 5)).at(-1)!;
  for (const [synced, code] of [
    [{ sequence: sequence + 1, crc }, 'journal_damaged'],
    [{ sequence, crc: crc ^ 1 }, 'backup_damaged'],
  ] as const) {
    const to = scratch.path();
    const journal = { storeId: 'ab', epoch: 1, first: 1, synced, ...still };
    await expect(backupRunning(directory, journal, to, options)).rejects.toMatchObject({ code });
    expect(existsSync(to)).toBe(false);
  }
});

describe('the drill', () => {
  test('a broker on the restored store runs what waited, and shows what had ended', async () => {
    const [original, to, restored] = [scratch.path(), scratch.path(), scratch.path()];
    const runCollector = async (
      socket: string,
      run: (client: Awaited<ReturnType<typeof connect>>) => Promise<void>,
    ): Promise<void> => {
      const stop = new AbortController();
      const collector = defineCollector({
        type: 't',
        operations: { double: ({ payload }) => (payload as number) * 2 },
      });
      const running = collector.run({ socket, id: 'c', signal: stop.signal, signals: false });
      await using client = await connect({ socket, name: 'drill' });
      await run(client);
      stop.abort();
      await running;
    };
    const waiting: string[] = [];
    let done = '';
    {
      await using broker = await brokerOn(original);
      await runCollector(broker.socket!, async (client) => {
        ({ id: done } = await client.submit({ operation: 'double', payload: 100 }));
        expect(await client.wait(done)).toMatchObject({ result: 200 });
      });
      await using client = await connect({ socket: broker.socket!, name: 'drill' });
      for (let payload = 0; payload < 30; payload++)
        waiting.push((await client.submit({ operation: 'double', payload })).id);
    }
    await backupAtRest(original, to, options);
    rmSync(original, { recursive: true });
    await restoreBackup(to, restored);
    await using broker = await brokerOn(restored);
    await runCollector(broker.socket!, async (client) => {
      for (const [payload, id] of waiting.entries())
        expect(await client.wait(id)).toMatchObject({ state: 'completed', result: payload * 2, attempt: 1 });
      expect(await client.wait(done)).toMatchObject({ state: 'completed', result: 200 });
      expect((await client.submit({ operation: 'double', payload: 100, id: waiting[0]! })).duplicate).toBe(true);
    });
  });
});

describe('what is no whole backup is refused, and nothing is left of the try', () => {
  const refused = async (change: (directory: string) => void, error: object): Promise<void> => {
    const [from, to] = [scratch.copy(backup), scratch.path()];
    change(from);
    await expect(restoreBackup(from, to)).rejects.toMatchObject(error);
    expect(existsSync(to)).toBe(false);
    expect(readdirSync(scratch.root).filter((name) => name.includes('unfinished'))).toEqual([]);
  };
  const segment = (directory: string, number = 2): string => join(directory, 'journal', `00000000000${number}.journal`);
  const code = 'backup_damaged';

  test('a directory that is not there', async () => {
    await refused((from) => rmSync(from, { recursive: true }), {
      code: 'backup_missing',
      message: expect.stringMatching(/^There is no directory .*Name the one/),
    });
  });

  test('without a manifest, or with one that was changed', async () => {
    await refused((from) => rmSync(join(from, 'manifest.json')), {
      code,
      message: expect.stringMatching(/no manifest.json.*Take another/),
    });
    await refused((from) => truncateSync(join(from, 'manifest.json'), 100), {
      code,
      message: expect.stringContaining('cannot be read'),
    });
    const change = (from: string): void => {
      const path = join(from, 'manifest.json');
      writeFileSync(path, readFileSync(path, 'utf8').replace('"epoch": 1', '"epoch": 2'));
    };
    await refused(change, { code, message: expect.stringContaining('was changed') });
  });

  test('of a newer deye', () =>
    refused((from) => writeFileSync(join(from, 'manifest.json'), '{"format": 2, "version": "9.0.0"}'), {
      code: 'backup_newer',
      message: expect.stringMatching(/format 2, made by deye 9.0.0/),
    }));

  test('a file that is gone, cut, longer, or changed', async () => {
    await refused((from) => rmSync(segment(from)), {
      code,
      message: expect.stringContaining('000000000002.journal is missing'),
    });
    await refused((from) => truncateSync(segment(from), 4096), {
      code,
      message: expect.stringContaining('is not as the manifest says'),
    });
    await refused((from) => appendFileSync(segment(from), 'x'), { code });
    await refused((from) => damage(join(from, 'book.db'), 4096 + 7, Uint8Array.of(1, 2, 3)), {
      code,
      message: expect.stringContaining('book.db'),
    });
  });

  test.each(['book.db', 'journal/000000000002.journal', 'manifest.json'])(
    '%s is no file',
    { timeout: 10_000 },
    async (name) => {
      await refused(
        (from) => {
          rmSync(join(from, name));
          execFileSync('mkfifo', [join(from, name)]);
        },
        { code, message: expect.stringContaining(`${name} is no regular file`) },
      );
    },
  );

  test('a journal that ends before its manifest, or is of another store', async () => {
    /** A manifest that agrees with itself and the files. */
    const rewritten = async (from: string, fields: Partial<Manifest>): Promise<void> => {
      const { format: _, ...manifest } = readManifest(from);
      rmSync(join(from, 'manifest.json'));
      const files = await Promise.all(
        manifest.files.map(async ({ name }) => ({ name, ...(await fileChecksum(join(from, name))) })),
      );
      await writeManifest(from, { ...manifest, files, ...fields });
    };
    const refusedAs = async (from: string, error: object): Promise<void> =>
      expect(restoreBackup(from, scratch.path())).rejects.toMatchObject(error);
    const { sequence } = readManifest(backup);
    const late = scratch.copy(backup);
    await rewritten(late, { sequence: sequence + 3 });
    await refusedAs(late, { code: 'journal_damaged', message: expect.stringContaining(`goes on to ${sequence + 3}`) });
    const cut = scratch.copy(backup);
    const last = readdirSync(join(cut, 'journal')).filter((name) => name.endsWith('.journal')).length;
    truncateSync(segment(cut, last), 4096 * 2);
    await rewritten(cut, {});
    await refusedAs(cut, { code: 'journal_damaged' });
    const other = scratch.copy(backup);
    await rewritten(other, { store_id: 'ab'.repeat(16) });
    await refusedAs(other, { code, message: expect.stringContaining('not the one that the manifest is of') });
    const ahead = scratch.copy(backup);
    await rewritten(ahead, { epoch: 70 });
    expect((await restoreBackup(ahead, scratch.path())).epoch).toBe(71);
    const outside = scratch.copy(backup);
    await rewritten(outside, { files: [{ name: '../x', bytes: 0, crc: 0 }] });
    await refusedAs(outside, { code, message: expect.stringContaining('no file of a store') });
  });

  test('into a directory that holds something, or cannot be made', async () => {
    const to = scratch.path();
    mkdirSync(to);
    await restoreBackup(backup, to); // empty
    await expect(restoreBackup(backup, to)).rejects.toMatchObject({
      code: 'target_exists',
      message: expect.stringContaining(to),
    });
    await expect(backupAtRest(sound, to, options)).rejects.toMatchObject({ code: 'target_exists' });
    await expect(backupAtRest(sound, join(sound, 'book.db', 'below'), options)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('Name another place'),
    });
  });
});

test('what comes into the directory meanwhile is not overwritten', async () => {
  const to = scratch.path();
  const built = buildDirectory(to, async () => {
    mkdirSync(to);
    writeFileSync(join(to, 'mine'), '');
  });
  await expect(built).rejects.toMatchObject({ code: 'target_exists' });
  expect(readdirSync(to)).toEqual(['mine']);
});

test('a damaged store is not backed up', async () => {
  const directory = scratch.copy(sound);
  damage(join(directory, 'journal', '000000000002.journal'), 4096 + 40, Uint8Array.of(0xaa, 0xbb));
  await expect(backupAtRest(directory, scratch.path(), options)).rejects.toMatchObject({
    code: 'store_corrupt',
    message: expect.stringMatching(/deye store verify.*deye store salvage/),
  });
});

test.each([
  ['a row that is not what was written', 'UPDATE attempt SET crc = crc + 1 WHERE seq = 1'],
  ['a body that is not', "UPDATE body SET bytes = x'c0' WHERE seq = 2"],
  ['a task that is not', "UPDATE task SET state = 'cancelled' WHERE seq = 1"],
])('nor one whose book has %s', async (_, sql) => {
  const [directory, to] = [scratch.copy(sound), scratch.path()];
  const db = new DatabaseSync(bookIn(directory));
  db.exec(sql);
  db.close();
  const said = /is damaged.*No backup was made.*store verify/s;
  await expect(backupAtRest(directory, to, options)).rejects.toMatchObject({
    code: 'store_corrupt',
    message: expect.stringMatching(said),
  });
  expect(existsSync(to)).toBe(false);
});

test('nor exported, nor started on', async () => {
  const directory = scratch.copy(sound);
  rmSync(join(directory, 'journal', '000000000002.journal'));
  const error = { code: 'store_corrupt', message: expect.stringMatching(/segment 2 is missing.*deye store salvage/) };
  await expect(readContents(directory)).rejects.toMatchObject(error);
  await expect(contentOf(directory)).rejects.toMatchObject(error);
});
