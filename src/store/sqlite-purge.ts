/** Rows of ended tasks that are too old, a slice at a time, and deleting them inside the caller's transaction. */
import type { DatabaseSync } from 'node:sqlite';
import type { Expiry } from '../book/port.ts';
import type { Expired } from '../core/expire.ts';
import { endedStates } from '../protocol/state.ts';
import { afterIds } from '../protocol/uuid-time.ts';

/** By age only: this store keeps to no number of tasks, and to no number of bytes. */
export function expiredRows(db: DatabaseSync, { beforeMs, deadLettersBeforeMs, wallMs, limit }: Expiry): Expired {
  const bounds = endedStates.map((state) => ({ state, ms: state === 'dead_letter' ? deadLettersBeforeMs : beforeMs }));
  const where = bounds.map(() => '(state = ? AND at_ms < ?)').join(' OR ');
  const rows = db
    .prepare(`SELECT seq, id FROM task WHERE ${where} LIMIT ?`)
    .all(...bounds.flatMap(({ state, ms }) => [state, ms]), limit);
  const ids = rows.map(({ id }) => String(id));
  return { tasks: rows.map(({ seq }) => Number(seq)), bodies: [], beforeMs: afterIds(ids, wallMs) };
}

/** Keeps the highest seq, so that none is ever used twice. */
export function rowPurger(db: DatabaseSync): (seqs: readonly number[]) => void {
  const deletions = ['payload', 'result', 'attempt', 'task'].map((table) =>
    db.prepare(`DELETE FROM ${table} WHERE seq = ?`),
  );
  return (seqs) => {
    db.exec(
      `INSERT INTO counter (name, value, crc)
       SELECT 'seq', seq, row_crc('seq', seq) FROM (SELECT coalesce(max(seq), 0) AS seq FROM task) WHERE true
       ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value), crc = row_crc(name, max(value, excluded.value))`,
    );
    for (const deletion of deletions) for (const seq of seqs) deletion.run(seq);
  };
}
