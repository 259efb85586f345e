/** Records as rows, inside the caller's transaction. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { StoreRecord } from '../core/record.ts';
import { submittedTask } from '../core/replay.ts';
import { encodeValue } from '../protocol/msgpack.ts';
import { rowPurger } from './sqlite-purge.ts';
import { columns, rowChecksum, type Table } from './sqlite-row.ts';

type Insert = (...values: readonly SQLInputValue[]) => void;

function inserter(db: DatabaseSync, table: Table, onConflict = ''): Insert {
  const names = columns[table];
  const statement = db.prepare(
    `INSERT INTO ${table} (${names.join(', ')}, crc) VALUES (${names.map(() => '?').join(', ')}, ?) ${onConflict}`,
  );
  return (...values) => void statement.run(...values, rowChecksum(...values));
}

/** What a move changes, as named parameters of one statement that sets the columns and the checksum. */
const changes = {
  state: '$state',
  attempt: '$attempt',
  token: '$token',
  at_ms: '$at_ms',
  collector: 'coalesce($collector, collector)',
  ready_ms: '$ready_ms',
  delay_ms: '$delay_ms',
  error: '$error',
  excluded: '$excluded',
} as const;

const moveSql = (): string => {
  const sets = Object.entries(changes).map(([column, value]) => `${column} = ${value}`);
  const after = columns.task.map((column) => (column in changes ? changes[column as keyof typeof changes] : column));
  return `UPDATE task SET ${sets.join(', ')}, crc = row_crc(${after.join(', ')}) WHERE seq = $seq`;
};

const blob = (value: object | undefined): SQLInputValue => (value === undefined ? null : encodeValue(value));

/** Applies one record after the other. */
export function recordWriter(db: DatabaseSync): (record: StoreRecord) => void {
  const task = inserter(db, 'task');
  const payloadOf = inserter(db, 'payload');
  const result = inserter(db, 'result');
  const attempt = inserter(db, 'attempt');
  const setting = inserter(
    db,
    'setting',
    'ON CONFLICT (key) DO UPDATE SET namespace = excluded.namespace, value = excluded.value, crc = excluded.crc',
  );
  const unset = db.prepare('DELETE FROM setting WHERE key = ?');
  const raise = inserter(
    db,
    'counter',
    'ON CONFLICT (name) DO UPDATE SET value = excluded.value, crc = excluded.crc WHERE excluded.value > value',
  );
  const purge = rowPurger(db);
  const move = db.prepare(moveSql());
  return (record) => {
    switch (record.kind) {
      case 'submitted': {
        const { seq, submittedAtMs } = record;
        const { payload, namespace, id, operation, priority, ...rest } = record.spec;
        const { state, attempt: none, token } = submittedTask(record);
        const spec = [seq, namespace, id, operation, priority, encodeValue(rest), submittedAtMs];
        task(...spec, state, none, token, submittedAtMs, null, null, null, null, null);
        payloadOf(seq, payload);
        return;
      }
      case 'moved':
        move.run({
          seq: record.seq,
          state: record.state,
          attempt: record.attempt,
          token: record.token,
          at_ms: record.atMs,
          collector: record.collectorId ?? null,
          ready_ms: record.readyAtMs ?? null,
          delay_ms: record.delayMs ?? null,
          error: blob(record.error),
          excluded: record.excluded.length === 0 ? null : JSON.stringify(record.excluded),
        });
        if (record.result !== undefined) result(record.seq, record.result);
        return;
      case 'attempt': {
        const { seq, collectorId, startedAtMs, endedAtMs, outcome, error } = record;
        attempt(seq, record.attempt, collectorId, startedAtMs, endedAtMs, outcome, blob(error));
        return;
      }
      case 'setting':
        if (record.value === undefined) unset.run(record.key);
        else setting(record.namespace, record.key, record.value);
        return;
      case 'expired':
        raise('expired', record.beforeMs);
        return;
      case 'purged':
        purge(record.seqs);
        return;
      case 'trimmed':
        throw new Error('this store keeps the bodies of all tasks that it keeps');
    }
  };
}
