/** An export that is whole, and says what no store could go on from, or what is no line of one: refused by its field. */
import { writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { lineOf } from '../../src/cli/export-lines.ts';
import { importStore } from '../../src/cli/store-import.ts';
import { uuidFirst } from '../../src/protocol/uuid-time.ts';
import { contentOf, Scratch } from '../store/fixture.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

const header = {
  ...{ deye_export: 1, version: '1.2.3', store_id: 'ab', epoch: 1, made_at_ms: 5 },
  ...{ next_seq: 9, expired_before_ms: 0 },
};

async function imported(of: object, lines: readonly string[] = []): Promise<string> {
  const [file, to] = [scratch.path(), scratch.path()];
  const text = lineOf({ ...header, ...of }) + lines.map((line) => `${line}\n`).join('');
  writeFileSync(file, text + lineOf({ end: { settings: 0, tasks: 0, crc: crc32(text) } }));
  await importStore(file, to, () => {});
  return to;
}

async function refusal(of: object, lines: readonly string[] = []): Promise<string> {
  const error = await imported(of, lines).catch((refused) => refused);
  expect(error).toMatchObject({ code: 'export_damaged' });
  return error.message;
}

describe('a header', () => {
  test.each([
    ['epoch', 2 ** 31],
    ['next_seq', 2 ** 52],
    ['expired_before_ms', 2 ** 47],
  ])('%s: up to a bound, and a store of that can be started', async (field, most) => {
    const [, , nextSeq, mark] = await contentOf(await imported({ [field]: most }));
    expect(nextSeq).toBe(field === 'next_seq' ? most : header.next_seq);
    expect(uuidFirst(mark)).toHaveLength(36);
    expect(await refusal({ [field]: most + 1 })).toMatch(
      new RegExp(`line 1 is no line of an export \\(${field}: Too big.*<=${most}\\)\\. Nothing was written`),
    );
  });
});

describe('a line', () => {
  test.each([
    ['5', 'Invalid input: expected object, received number'],
    ['{"what":1}', 'it must have one of: setting, task, end'],
    ['{"task":{},"end":{}}', 'it must have one of: setting, task, end'],
    ['{"task":5}', 'task: Invalid input: expected object, received number'],
    ['{"task":{"seq":"x"}}', 'task.seq: Invalid input: expected number, received string'],
    ['{"setting":{"key":"k","value":7}}', 'setting.value: Invalid input: expected string, received number'],
  ])('%s', async (line, what) => {
    expect(await refusal({}, [line])).toContain(`line 2 is no line of an export (${what})`);
  });
});
