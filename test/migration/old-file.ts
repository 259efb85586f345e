/** Writes deye.db as older versions of deye wrote it. */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { present } from '../../src/core/body.ts';
import type { RecordOf, StoreRecord } from '../../src/core/record.ts';
import { type DurableTask, newDurable, replay, submittedTask } from '../../src/core/replay.ts';
import { columns, defineRowChecksum, rowChecksum, type Table } from '../../src/migration/old-row.ts';
import { applicationId, migrations } from '../../src/migration/old-schema.ts';
import { encodeValue } from '../../src/protocol/msgpack.ts';

const blob = (value: object | undefined): SQLInputValue => (value === undefined ? null : encodeValue(value));

/** As version 3 wrote it; of an epoch, and with a counter beyond the last task. */
export function writeOldFile(path: string, records: readonly StoreRecord[], epoch = 7): void {
  const db = new DatabaseSync(path);
  defineRowChecksum(db);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; ${migrations.map(({ sql }) => sql).join('\n')}`);
  db.exec(`PRAGMA user_version = 3; PRAGMA application_id = ${applicationId}; BEGIN`);
  const insert = (table: Table, ...values: SQLInputValue[]): void => {
    const names = [...columns[table], 'crc'];
    db.prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`).run(
      ...values,
      rowChecksum(...values),
    );
  };
  const durable = newDurable();
  const tasks = new Map<number, DurableTask>();
  for (const record of records) {
    if (record.kind === 'submitted') tasks.set(record.seq, submittedTask(record));
    replay(durable, record);
    const task = record.kind === 'moved' ? tasks.get(record.seq) : undefined;
    if (record.kind === 'moved') Object.assign(task!, progressOf(record));
    if (record.kind === 'moved' && record.result !== undefined) insert('result', record.seq, record.result);
    if (record.kind === 'attempt') {
      const { seq, attempt, collectorId, startedAtMs, endedAtMs, outcome, error } = record;
      insert('attempt', seq, attempt, collectorId, startedAtMs, endedAtMs, outcome, blob(error));
    }
  }
  for (const { seq, spec, submittedAtMs, ...at } of tasks.values()) {
    const { payload, namespace, id, operation, priority, ...rest } = spec;
    const kept = [seq, namespace, id, operation, priority, encodeValue(rest), submittedAtMs + 0.25] as const;
    const excluded = at.excluded.length === 0 ? null : JSON.stringify(at.excluded);
    const times = [at.atMs, at.collectorId ?? null, at.readyAtMs ?? null, at.delayMs ?? null] as const;
    insert('task', ...kept, at.state, at.attempt, at.token, ...times, blob(at.error), excluded);
    insert('payload', seq, present(payload));
  }
  for (const [key, value] of durable.settings) insert('setting', 'default', key, value);
  insert('counter', 'epoch', epoch);
  insert('counter', 'seq', durable.nextSeq + 10);
  db.exec('COMMIT');
  db.close();
}

const progressOf = ({ kind: _, seq: __, result: ___, ...progress }: RecordOf<'moved'>) => progress;

/** As version 2 wrote it: task 1 waits, task 2 is completed. */
export function writeVersion2(path: string, specs: readonly RecordOf<'submitted'>['spec'][]): void {
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = WAL; ${migrations[0]!.sql} ${migrations[1]!.sql}`);
  db.exec(`PRAGMA user_version = 2; PRAGMA application_id = ${applicationId}`);
  for (const [at, { payload, namespace, id, operation, priority, ...rest }] of specs.entries()) {
    const spec = encodeValue(rest);
    db.prepare(
      `INSERT INTO task (seq, namespace, id, operation, priority, spec, crc, submitted_ms, state, attempt, at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, 1000.5, ?, 0, 1000.5)`,
    ).run(
      at + 1,
      namespace,
      id,
      operation,
      priority,
      spec,
      crc32(present(payload), crc32(spec, crc32(id))),
      ['pending', 'completed'][at]!,
    );
    db.prepare('INSERT INTO payload VALUES (?, ?)').run(at + 1, present(payload));
  }
  db.prepare('INSERT INTO result VALUES (2, ?, ?)').run(Uint8Array.of(1), crc32(Uint8Array.of(1)));
  db.exec(`INSERT INTO attempt VALUES (2, 1, 'c', 5, 6, 'completed', NULL);
    INSERT INTO setting (key, value) VALUES ('k', 'v'); INSERT INTO counter VALUES ('epoch', 7)`);
  db.close();
}
