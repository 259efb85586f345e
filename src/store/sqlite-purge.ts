/** Deleting rows of ended tasks, a slice at a time, inside the caller's transaction. */
import type { DatabaseSync } from 'node:sqlite';
import { endedStates } from '../protocol/state.ts';
import type { PurgeOptions } from './port.ts';

/** Returns how many were deleted. Keeps the highest seq, so that none is ever used twice. */
export function purgeRows(db: DatabaseSync, { beforeMs, deadLettersBeforeMs, limit }: PurgeOptions): number {
  const bounds = endedStates.map((state) => ({ state, ms: state === 'dead_letter' ? deadLettersBeforeMs : beforeMs }));
  const where = bounds.map(() => '(state = ? AND at_ms < ?)').join(' OR ');
  const rows = db
    .prepare(`SELECT seq FROM task WHERE ${where} LIMIT ?`)
    .all(...bounds.flatMap(({ state, ms }) => [state, ms]), limit);
  if (rows.length === 0) return 0;
  db.exec(
    `INSERT INTO counter (name, value, crc)
     SELECT 'seq', seq, row_crc('seq', seq) FROM (SELECT coalesce(max(seq), 0) AS seq FROM task) WHERE true
     ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value), crc = row_crc(name, max(value, excluded.value))`,
  );
  for (const table of ['payload', 'result', 'attempt', 'task']) {
    const row = db.prepare(`DELETE FROM ${table} WHERE seq = ?`);
    for (const { seq } of rows) row.run(seq as number);
  }
  return rows.length;
}
