/** deye-store.7: what lies on the disk, byte by byte, from the tables that the code reads and writes by. */
import { exportVersion } from '../../src/cli/export-lines.ts';
import type { Form } from '../../src/core/codec.ts';
import { recordForms, storeLevel } from '../../src/core/record-bytes.ts';
import { batchLayout, blockBytes, headerBytes, headLayout } from '../../src/journal/header.ts';
import { endedStates } from '../../src/protocol/state.ts';
import { example, header, heading, page, paragraph, subheading, term } from './roff.ts';

export function storePage(version: string): string {
  return page(
    header('deye-store', 7, 'deye manual', version),
    heading('name'),
    'deye\\-store \\- what a broker keeps on the disk, byte by byte, and what can be done with it',
    ...files,
    ...segments,
    ...batches,
    ...values,
    ...records,
    ...folding,
    ...recovery,
    ...backups,
    ...exports,
    ...operation,
    ...byHand,
    heading('see also'),
    paragraph(
      'deye-store-status(1), deye-store-verify(1), deye-store-salvage(1), deye-store-backup(1), deye-store-restore(1), deye-store-export(1), deye-store-import(1), deye-store-compact(1), deye-tasks(7), deye-design(7)',
    ),
  );
}

type Layout = Readonly<Record<string, { readonly at: number; readonly bytes: number; readonly summary: string }>>;

const layoutTable = (layout: Layout): string =>
  example(
    [
      '   at  bytes',
      ...Object.values(layout).map(
        ({ at, bytes, summary }) => `${String(at).padStart(5)}  ${String(bytes).padStart(5)}  ${summary}`,
      ),
    ].join('\n'),
  );

/** Name and form, one line each; the parts of a value under the names of both. */
const fieldLines = (fields: NonNullable<Form['fields']>, within = ''): string[] =>
  fields.flatMap(([name, { text, fields: parts }]) => {
    const line = `${`${within}${name}`.padEnd(38)}${parts === undefined ? text : text.replace('fields', 'group, of:')}`;
    if (parts === undefined) return [line];
    const inner = fieldLines(parts, `${within}${name}.`);
    return text === 'fields' ? inner : [line, ...inner];
  });

const files = [
  heading('files'),
  paragraph(
    'In the state directory of a broker. The journal is the truth: what lives is the fold of its records. The book holds what has ended; it follows the journal, and what it has not yet got can be given to it again.',
  ),
  term(
    'store/journal/journal.json',
    'the id of the store (store_id) and the salt of its first segment (first_salt), as hex digits; crc is the CRC-32 of the text "FORMAT STORE_ID FIRST_SALT". The heads of the segments say the same, and it is made again when it is gone',
  ),
  term(
    'store/journal/NNNNNNNNNNNN.journal',
    'a segment; its number, of twelve digits, counts from 1. Those above the one that is written to are spare: prepared, of up to 64 MiB, so that what was accepted can be ended on a full disk. Up to two below the first that is needed are kept to be used again; deye store compact removes them',
  ),
  term(
    'store/journal/journal.torn-N',
    'a copy of what a crash left half written. Nothing in it was acknowledged; it may be removed',
  ),
  term(
    'store/book.db',
    'SQLite: a row for each task that ended (task), its payload and result (body), an attempt each (attempt), and the last batch of the journal that is in it (position). Its write-ahead file, book.db-wal, belongs to it while it is there; zeros behind its last page are room for what that has. Programs that have it open share an index of that, book.db-shm',
  ),
  term(
    'store.saved-MS, and store.removed-MS',
    'what a broker wrote whose files were taken away while it ran: a whole store, beside one that was put in its place; and what was left of the old one where the new one is in its place. MS is the time, in milliseconds since 1970',
  ),
  term(
    'deye.db.migrated',
    'the store of an earlier deye, kept when it was brought over; store/migrated.json says which file that was. It may be removed. store.new is a bringing over that has not ended',
  ),
  term(
    '.export-XXXXXX, and .store.unfinished-XXXXXX',
    'the copy that an export beside a broker reads, and what a restore, import or salvage makes. They go when the command ends; what a kill leaves is removed by the next such command, or by hand while none runs',
  ),
  term('broker.lock', 'locked by the broker that runs. It stays when none does'),
];

const segments = [
  heading('a segment'),
  paragraph(
    `A file of whole blocks of ${blockBytes} bytes. The first block is its head; batches follow, each from the beginning of a block, one behind the other; what no batch has taken yet is zeros. A segment whose last batch is of the kind close is followed by the one that it points to. Numbers in heads and headers are unsigned and big-endian, and every CRC-32 is that of zlib.`,
  ),
  example(`byte  0          ${blockBytes}
      head zeros | header body zeros | header body zeros | ... | zeros
      block 0    | block 1, 2, ...   | a batch: whole blocks   |`),
  layoutTable(headLayout),
  paragraph(
    'The salt of a segment stands in its head, in the batch that closes the segment before, and in a floor that points to it; that of the first stands in journal.json, too. So a damaged head hides nothing.',
  ),
];

const batches = [
  heading('a batch'),
  paragraph(
    `One group commit: a header of ${headerBytes} bytes, the body, and zeros to the end of its last block. It takes (${headerBytes} + bytes of the body) / ${blockBytes} blocks, rounded up. It is whole when salt, store and format are right and the CRC-32 of its first 124 bytes and its body stands in the header.`,
  ),
  layoutTable(batchLayout),
  paragraph(
    'The body of a batch of kind 1 is records, one behind the other; the others have none. The pointer of a closing batch is to the segment that follows. Any other pointer is a floor: nothing before that segment is needed any more. Sequences name batches of records, ordinals batches of any kind; epochs never fall.',
  ),
];

const values = [
  heading('values'),
  term(
    'number',
    'unsigned, seven bits a byte, the lowest first; every byte but the last has its highest bit set. At most 2^53 - 1',
  ),
  term('text', 'a number, and that many bytes of UTF-8'),
  term(
    'body',
    'a number, the CRC-32 of the bytes (four bytes, big-endian), and that many bytes: MessagePack, as a client sent it, never decoded',
  ),
  term('optional X', 'a byte: 0, or 1 and then X'),
  term('list of X', 'a number, and that many X'),
  term('map', 'a number, and that many pairs of texts'),
  term('group, of', 'the fields named with its name before, in order'),
];

const records = [
  heading('records'),
  paragraph(
    `A byte for the kind, a byte for the version, four bytes, big-endian, for the length of what follows, and the fields in this order. A kind keeps its number for ever. A kind or version that is not listed here, or a level above ${storeLevel}, is of a newer deye: stop, since it may change what all others mean.`,
  ),
  ...recordForms.flatMap(({ kind, number, version, fields }) => [
    subheading(`${number} ${kind}, version ${version}`),
    example(fieldLines(fields).join('\n')),
  ]),
];

const folding = [
  heading('what the records mean'),
  paragraph('Read them in the order of their batches. "seq" names a task within the store.'),
  term(
    'submitted',
    'a new task, pending, with attempt 0, an empty token, nothing excluded, and all other fields of moved missing; its atMs is submittedAtMs',
  ),
  term('task', 'the whole task as it is now, whatever was known of it: it makes the task from nothing'),
  term(
    'moved',
    `the task takes all of these fields, but keeps its collectorId where there is none here. After ${endedStates.join(', ')} it has ended: it lives no more, and its row with the result goes to the book. One of a task that is not there is skipped: its row is in the book`,
  ),
  term('attempt', 'an attempt that ended; it goes to the book, whether its task lives or not'),
  term('setting', 'a value by its key, or, without a value, its end'),
  term('purged', 'retention deleted these ended tasks, with all that belongs to them'),
  term('trimmed', 'retention deleted the bodies of these ended tasks; the rest of them stays'),
  term(
    'expired',
    'no new task has an id whose time is before beforeMs: one with such an id may have been deleted. The highest one counts',
  ),
  term('counted', 'every seq that was ever used is below nextSeq'),
  term('level', 'from here on there may be records of kinds that only a deye of this level knows'),
];

const recovery = [
  heading('recovery'),
  paragraph(
    'A start reads every segment. The run begins at the segment of the highest floor (in a batch that is in the run, or that a later one says was synced), else at segment 1, and goes on as long as each batch is whole, has the next ordinal, names the CRC-32 of the one before, and is of no lower epoch. Behind it:',
  ),
  term(
    'nothing',
    'The journal ended cleanly. It goes on there, in a new epoch, which is synced before anything is answered.',
  ),
  term(
    'bytes that no whole batch, nor the book, nor the manifest of a backup knows to be synced',
    'A torn tail: it was never acknowledged. It is copied to journal.torn-N, told in the log, and zeroed.',
  ),
  term(
    'a break at a batch that one of them knows to be synced',
    'Damage: the start is refused, the place is named, and nothing is changed. deye store verify lists all of it. Restore a backup, or take what is whole with deye store salvage.',
  ),
  term('a segment that the last batch points to is not there', 'Damage, in the same way.'),
  term(
    'no segment at all, and a book that has taken something in',
    'Damage, in the same way. A salvage takes what had ended from the book; what lived is lost.',
  ),
  term('a head, or journal.json, that is not whole', 'Read around, and made again, which the log says.'),
  term(
    'a segment, or a book, of another store',
    'Refused. Put back the one that belongs there, or restore a backup of both.',
  ),
  term('a book that is behind', 'It is given what it lacks.'),
  term(
    'a book that is ahead, went another way, or ends before the journal begins',
    'Refused: one of them is of another copy of the store.',
  ),
  term(
    'a write-ahead file of SQLite that is damaged or gone',
    'It costs a longer replay, and no task. Under a running broker a cut of it ends the broker before anything more is written.',
  ),
];

const backups = [
  heading('a backup'),
  paragraph(
    'A directory that holds book.db, journal/ up to one batch, and manifest.json, which is written last: without it the directory is no backup. The book is copied first, and the batch is the last that is synced after that, so the book is never ahead. A restore checks each file against the manifest, and begins a new epoch before the state directory is there.',
  ),
  paragraph(
    'A broker that runs makes one while everything goes on, in a thread of its own. Nothing is released from the journal meanwhile. The backup ends, and nothing is left of it, when its caller cancels or goes, when the disk under the store is full, or when the journal has grown by more than four times what it may have anyway. It is made beside its place, as .NAME.unfinished-XXXXXX, with a file that its maker locks, maker.lock; what a kill leaves of that has no manifest.json, and is removed by the next backup to the same place.',
  ),
  term(
    'manifest.json',
    'format (1), version of deye, store_id, epoch, sequence and crc of the last batch, made_at_ms, files (name, bytes, and crc, its CRC-32), and manifest_crc: the CRC-32 of all of this as JSON without spaces, without itself',
  ),
];

const exports = [
  heading('an export'),
  paragraph(
    `JSON, one value a line. Names are those of the records, in lower case with underscores; a body is {"json": value} where that gives the same bytes again, else {"msgpack": base64}. Integers are written in all their digits, up to 64 bits.`,
  ),
  term(
    'first line',
    `deye_export (${exportVersion}), version of deye, store_id, epoch, made_at_ms, next_seq, which is above every seq, and expired_before_ms: no new task has an id whose time is before it`,
  ),
  term('{"setting": …}', 'key and value'),
  term(
    '{"task": …}',
    'in order of seq: seq, submitted_at_ms, spec, state, attempt, token, at_ms, collector_id, ready_at_ms, delay_ms, error, excluded, result, attempts',
  ),
  term(
    '{"end": …}',
    'the last line: how many settings and tasks there are, and crc, the CRC-32 of all bytes before this line',
  ),
];

const operation = [
  heading('a full disk'),
  paragraph(
    'Nothing new is accepted (store_full), and what runs may end, in the segments that are kept ready. The journal takes no segment that does not leave as much of the disk to the book, and a row is entered only where the main file of the book has room for it. Once a second the broker saves the book, releases what nobody needs, and goes to smaller segments; when that is enough, or space was freed, it goes on by itself. Both stand on the log. What helps: free some space; let tasks end, or cancel them; a shorter retention_ms, or lower ended_tasks_max and book_bytes_max; a backup on another disk, restored there. The rows of one commit are entered together, twice over until they are saved: what ends more at once than half of the free space holds waits until there is more.',
  ),
  heading('in the status'),
  term('kept ready', 'bytes of segments that are prepared for what comes, or released and to be used again'),
  term(
    'held by NAME from batch N',
    'nothing from that batch on is released: store, for what lives and what is not safe in the book yet; backup; body, for a payload that is being read',
  ),
  heading('another place'),
  paragraph(
    'A state directory may be moved, or put in the place of another, while no broker runs on either: after a salvage or a restore move the old one away and the new one there, and clients find the broker where it was. What was moved away under a running broker is older than what that has written back: start none on it.',
  ),
];

const byHand = [
  heading('by hand'),
  paragraph('In the directory store of a state directory. The head of a segment, and the header of its first batch:'),
  example(
    `od -A d -t x1z -N 80 journal/000000000001.journal\nod -A d -t x1z -j ${blockBytes} -N ${headerBytes} journal/000000000001.journal`,
  ),
  paragraph(
    `Byte 32 of the header is the kind, and bytes 36 to 39 are the length of the body, which begins behind it, and so the block of the next batch. The first batch may be a seal, of kind 2, which is empty and takes one block; then the first of kind 1 begins at byte ${2 * blockBytes}. The first record of that, and the ids of all tasks in a segment:`,
  ),
  example(
    `od -A d -t x1z -j ${2 * blockBytes + headerBytes} -N 64 journal/000000000001.journal\nstrings -n 36 journal/000000000001.journal`,
  ),
  paragraph('The book, while no broker runs:'),
  example("sqlite3 -readonly book.db 'SELECT id, operation, state, since_ms FROM task ORDER BY seq DESC LIMIT 10'"),
  paragraph('A script of sixty lines among the tests reads a journal from this page alone.'),
];
