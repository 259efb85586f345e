/**
 * Mistakes that the histories of a store, or of its journal alone, must find: each is an edit of the source. The rules are
 * those of the model of the journal; what it names and is not here stands at the end, with the reason.
 */
export type SearchKind =
  | 'store'
  | 'store with late syncs'
  | 'journal'
  | 'journal with late syncs'
  | 'journal with flips'
  | 'copies of two ways'
  | 'names on a full disk'
  | 'stale batch'
  | 'book that is not saved'
  | 'late book'
  | 'nothing left'
  | 'earlier attempt';

export interface StorePlant {
  /** What finds it (search.ts); histories of a store, when it is left out. */
  readonly by?: SearchKind;
  /** File, text that stands there once, and what takes its place. */
  readonly edits: readonly (readonly [file: string, from: string, to: string])[];
}

const feed = 'src/store/book-feed.ts';
const batches = 'src/store/batches.ts';
const live = 'src/store/live-state.ts';
const journal = 'src/journal/file-journal.ts';
const open = 'src/journal/open.ts';
const recovery = 'src/journal/recovery.ts';
const segments = 'src/journal/segments.ts';
const tail = 'src/journal/torn-tail.ts';
const identity = 'src/journal/identity.ts';

const noChain = [recovery, 'batch.chain !== chain || ', ''] as const;
const neither = [recovery, 'if (batch.chain !== chain || batch.epoch < epoch) break;', ''] as const;
const noZero = [tail, 'await (isReady || clearHead(options, files, segment, file, fromByte))', 'await 0'] as const;
const sameEpoch = [open, 'known.epoch ?? 0) + 1', 'known.epoch ?? 0, 1)'] as const;

export const storePlants: Readonly<Record<string, StorePlant>> = {
  'a commit is answered before it is on the disk': {
    edits: [
      [
        batches,
        'const appended = await journal.append',
        "const appended: string = 'committed';\n    void journal.append",
      ],
    ],
  },
  'a batch shares its bytes with the next one': {
    edits: [
      [batches, 'this.#writers.pop() ?? new Writer();', '(this.#writers[0] ??= new Writer());\n    writer.clear();'],
      [batches, 'if (writer.length <= keptWriterBytes) this.#writers.push(writer);\n    writer.clear();', ''],
    ],
  },
  'commits do not wait for each other': {
    by: 'late book',
    edits: [[batches, 'this.#writing = written.catch(() => {});', 'written.catch(() => {});']],
  },
  'what a commit writes again lets go before it is written': {
    edits: [
      [
        batches,
        '    const written = this.#writing',
        "    journal.hold('store', needed);\n    const written = this.#writing",
      ],
    ],
  },
  'an end does not hold the full record of its task': {
    edits: [[feed, 'Math.min(this.#safe + 1, this.#oldestFull)', 'this.#safe + 1']],
  },
  'an end holds its own batch only': {
    edits: [
      [
        feed,
        'this.#ends.push({ end, full });\n    this.#oldestFull = Math.min(this.#oldestFull, full)',
        'this.#ends.push({ end, full: end });\n    this.#oldestFull = Math.min(this.#oldestFull, end)',
      ],
    ],
  },
  'the journal lets go of what the book has in its write-ahead file only': {
    edits: [
      [
        feed,
        'this.#applied = position.sequence;',
        'this.#safe = this.#applied = position.sequence;\n    this.#ends = [];\n    this.#oldestFull = Number.POSITIVE_INFINITY;',
      ],
    ],
  },
  'the journal lets go without regard to the book': {
    edits: [[batches, 'live.oldest?.batch ?? sequence, feed.needed)', 'live.oldest?.batch ?? sequence)']],
  },
  'the journal lets go without regard to what lives': {
    edits: [[batches, 'Math.min(live.oldest?.batch ?? sequence, feed.needed)', 'feed.needed']],
  },
  'a start does not save the book': {
    by: 'book that is not saved',
    edits: [['src/store/explained-book.ts', 'const position = await book.checkpoint();', 'const position = stood;']],
  },
  'a book that is behind is not caught up': {
    edits: [['src/store/replay-journal.ts', 'const isNew = sequence > inBook;', 'const isNew = false;']],
  },
  'the book is given a batch before it is written': {
    edits: [
      [
        batches,
        '      await this.#write(writer, count, sequence);\n',
        '      entered({ storeId: journal.storeId, epoch: journal.epoch, sequence, crc: journal.last.crc });\n      await this.#write(writer, count, sequence);\n',
      ],
      [
        batches,
        '      entered({ storeId, epoch, sequence, crc });\n',
        '      void [entered, storeId, epoch, sequence, crc];\n',
      ],
    ],
  },
  'the book is given a batch before it is synced': {
    by: 'store with late syncs',
    edits: [[batches, ' && this.#unsynced[0].sequence <= synced.sequence', '']],
  },
  'the book is given the CRC of the last batch that is synced': {
    by: 'store with late syncs',
    edits: [
      [
        batches,
        'entered({ storeId, epoch, sequence, crc });',
        'void crc;\n      entered({ storeId, epoch, sequence, crc: synced.crc });',
      ],
    ],
  },
  'the recovered tail is given to the book before it is synced': {
    edits: [[open, 'if (handles.has(number)) await file.sync();', 'void [number, file];']],
  },
  'the directory is not synced at the start': {
    by: 'names on a full disk',
    edits: [[open, '  await disk.sync();\n', '']],
  },
  'a prepared segment is pointed to before its directory is synced': {
    edits: [[segments, '      await disk.sync();\n', '']],
  },
  'a batch is not synced': {
    edits: [
      [open, "synced: sync === 'batch', newSalt }", 'synced: false, newSalt }'],
      [open, "create: false, synced: sync === 'batch' }", 'create: false, synced: false }'],
    ],
  },
  'segments are released before the floor is written': {
    edits: [
      [
        journal,
        "await this.#put('records', parts, records, this.#nextFloor());",
        `const floor = this.#nextFloor();
      while (floor !== undefined && this.#used[0]!.number < floor.segment) await this.#files.release(this.#used.shift()!);
      await this.#files.prepare(this.#head.bytes);
      await this.#put('records', parts, records, floor);`,
      ],
    ],
  },
  'a floor goes one segment too far': {
    edits: [[segments, 'lastSequence >= needed)', 'lastSequence > needed + 3)']],
  },
  'a floor stands in the segment that it points to': {
    by: 'journal with flips',
    edits: [[segments, 'const closed = used.slice(0, -1);', 'const closed = used;']],
  },
  'a floor is obeyed before it is synced': {
    by: 'journal with late syncs',
    edits: [
      [
        journal,
        'if (!head.dirty) await this.#settled(ordinal',
        'if (!head.dirty || this.#floor !== undefined) await this.#settled(head.dirty ? this.#syncedOrdinal : ordinal',
      ],
    ],
  },
  'a store that was killed as it was made is damaged for ever': {
    edits: [[open, 'if (written === undefined) await removeUnborn(disk, handles);', '']],
  },
  'a torn tail is taken for damage': {
    by: 'journal with late syncs',
    edits: [
      [recovery, 'if (synced > run.ordinal)', 'if (synced > run.ordinal || batchesBeyond(segments, run).length > 0)'],
    ],
  },
  'damage is taken for a torn tail': {
    by: 'journal with flips',
    edits: [[recovery, 'if (synced > run.ordinal)', 'if (synced < 0)']],
  },
  'the start begins no epoch': { edits: [sameEpoch] },
  'the epoch is not on the disk before the store is handed out': { edits: [[open, '  await journal.begin();\n', '']] },
  'neither zeros, nor the chain, nor the order of epochs keep a stale batch out': {
    by: 'stale batch',
    edits: [noZero, neither],
  },
  'neither zeros, nor the chain, nor a new epoch keep a stale batch out': {
    by: 'stale batch',
    edits: [noZero, noChain, sameEpoch],
  },
  'the chain is not looked at': { by: 'copies of two ways', edits: [noChain] },
  'the salt of the first segment is not repeated': {
    by: 'journal with flips',
    edits: [
      [
        identity,
        "first_salt: Buffer.from(firstSalt).toString('hex'),",
        "first_salt: Buffer.alloc(16).toString('hex'),",
      ],
    ],
  },
  'a released file keeps its salt': {
    by: 'journal',
    edits: [
      [segments, 'this.#free.push({ number, file, bytes });', 'this.#free.push(arguments[0] as never);'],
      [segments, 'salt: newSalt(number),', 'salt: (old as unknown as Segment)?.salt ?? newSalt(number),'],
    ],
  },
  'a row that was superseded is still shown from memory': {
    edits: [[feed, '      for (const task of ended) this.#entered(task);\n', '']],
  },
  'an attempt takes the end of its task out of memory': {
    by: 'earlier attempt',
    edits: [
      [
        feed,
        '      for (const seq of attempted) if',
        '      for (const seq of attempted) if (this.tasks.has(seq)) this.#entered(this.tasks.get(seq)!);\n      for (const seq of attempted) if',
      ],
    ],
  },
  'the counter of tasks is not written again': {
    by: 'nothing left',
    edits: [
      [
        live,
        "if (key === counterKey) return { kind: 'counted', nextSeq: this.durable.nextSeq };",
        "if (key === counterKey) return { kind: 'counted', nextSeq: 1 };",
      ],
    ],
  },
  'a purge is not in the journal': {
    edits: [
      [
        feed,
        "delete(record: RecordOf<'purged'> | RecordOf<'trimmed'>): void {\n    writeRecord(this.#writer, record);",
        "delete(_record: RecordOf<'purged'> | RecordOf<'trimmed'>): void {",
      ],
    ],
  },
  'a setting holds nothing': {
    edits: [[live, 'else this.#living.written(settingKey(record.key), batch);', '']],
  },
};

/*
 * Not here, since no history can find them:
 *
 * - The order of epochs, by itself. Whoever writes a batch has read the one before it, whose CRC it names, and has begun an
 *   epoch above that one's. A batch of a lower epoch behind one of a higher therefore breaks the chain, unless two CRC-32
 *   agree by chance; it is looked at for that chance.
 * - No zeros behind a cut, by itself or with one of the other two. What a stale batch needs to be read again is the block
 *   behind the head's last batch, the next ordinal, the chain, and an epoch that is not lower. Every start puts its own seal
 *   at the cut, so the chain and the epoch each refuse what stood behind; with all three gone it is found, above.
 */
