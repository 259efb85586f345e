/** The tables of the store that was one SQLite file (deye.db), and how its older versions are brought to the last. */

/** "deye" in ASCII: marks the file as ours. */
export const applicationId = 0x64657965;

interface Migration {
  readonly sql: string;
  /** Names the first row that is not what was written, by what the older version checked. */
  readonly damaged?: string;
}

/** One entry per version; entry n brings a store from version n to n + 1. Nothing is ever added. */
export const migrations: readonly Migration[] = [
  {
    sql: `CREATE TABLE task (
     seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, operation TEXT NOT NULL, priority INTEGER NOT NULL,
     spec BLOB NOT NULL, crc INTEGER NOT NULL, submitted_ms REAL NOT NULL,
     state TEXT NOT NULL, attempt INTEGER NOT NULL, at_ms REAL NOT NULL,
     collector TEXT, ready_ms REAL, error BLOB, excluded TEXT) STRICT;
   CREATE INDEX task_live ON task (seq) WHERE state IN ('pending', 'in_progress', 'retrying');
   CREATE INDEX task_state ON task (state, seq);
   CREATE TABLE payload (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
   CREATE TABLE result (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
   CREATE TABLE attempt (
     seq INTEGER NOT NULL, attempt INTEGER NOT NULL, collector TEXT NOT NULL, started_ms REAL NOT NULL,
     ended_ms REAL NOT NULL, outcome TEXT NOT NULL, error BLOB, PRIMARY KEY (seq, attempt)) STRICT, WITHOUT ROWID;
   CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;`,
  },
  // The lease's token apart from the attempt's number, the span of a backoff, namespaces, and the epoch of the latest start.
  {
    sql: `ALTER TABLE task ADD COLUMN token TEXT NOT NULL DEFAULT '';
   ALTER TABLE task ADD COLUMN delay_ms REAL;
   ALTER TABLE task ADD COLUMN namespace TEXT NOT NULL DEFAULT 'default';
   ALTER TABLE setting ADD COLUMN namespace TEXT NOT NULL DEFAULT 'default';
   DROP INDEX task_live;
   CREATE INDEX task_ended ON task (state, at_ms);`,
  },
  // A checksum in every row, over all of its other columns.
  {
    damaged: `SELECT 'task ' || id AS what FROM task LEFT JOIN payload USING (seq) WHERE crc IS NOT bytes_crc(id, spec, body)
     UNION ALL
     SELECT 'the result of task ' || id FROM result JOIN task USING (seq) WHERE result.crc IS NOT bytes_crc(body) LIMIT 1`,
    sql: `ALTER TABLE payload ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE attempt ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE setting ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE counter ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
   UPDATE task SET crc = row_crc(seq, namespace, id, operation, priority, spec, submitted_ms, state, attempt, token,
     at_ms, collector, ready_ms, delay_ms, error, excluded);
   UPDATE payload SET crc = row_crc(seq, body);
   UPDATE result SET crc = row_crc(seq, body);
   UPDATE attempt SET crc = row_crc(seq, attempt, collector, started_ms, ended_ms, outcome, error);
   UPDATE setting SET crc = row_crc(namespace, key, value);
   UPDATE counter SET crc = row_crc(name, value);`,
  },
];
