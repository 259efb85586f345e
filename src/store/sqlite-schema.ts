/** The tables of the SQLite store and how older files are brought up to date. */

/** "deye" in ASCII: marks the file as ours. */
export const applicationId = 0x64657965;

/** One entry per version; entry n brings a store from version n to n + 1. Never edit one that was released. */
export const migrations: readonly string[] = [
  `CREATE TABLE task (
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
  // The lease's token apart from the attempt's number, the span of a backoff, namespaces, and the epoch of the latest start.
  `ALTER TABLE task ADD COLUMN token TEXT NOT NULL DEFAULT '';
   ALTER TABLE task ADD COLUMN delay_ms REAL;
   ALTER TABLE task ADD COLUMN namespace TEXT NOT NULL DEFAULT 'default';
   ALTER TABLE setting ADD COLUMN namespace TEXT NOT NULL DEFAULT 'default';
   DROP INDEX task_live;
   CREATE INDEX task_ended ON task (state, at_ms);`,
];
