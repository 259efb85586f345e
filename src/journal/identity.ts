/** The store's own file: who it is, and the salt of its first segment. Everything in it stands elsewhere, too. */
import { crc32 } from 'node:zlib';
import type { Disk, DiskFile } from './disk.ts';
import { blockBytes, readSegmentHead, saltBytes } from './header.ts';
import { JournalError } from './port.ts';
import { readAll } from './scan.ts';

export const identityName = 'journal.json';
const formatVersion = 1;
const textBytesMax = 64 * 1024;

export interface Identity {
  readonly storeId: Uint8Array;
  readonly firstSalt: Uint8Array;
}

interface Fields {
  readonly format?: unknown;
  readonly store_id?: unknown;
  readonly first_salt?: unknown;
  readonly crc?: unknown;
}

const crcOf = ({ format, store_id, first_salt }: Fields): number => crc32(`${format} ${store_id} ${first_salt}`);

export async function writeIdentity(disk: Disk, { storeId, firstSalt }: Identity): Promise<void> {
  const fields = {
    format: formatVersion,
    store_id: Buffer.from(storeId).toString('hex'),
    first_salt: Buffer.from(firstSalt).toString('hex'),
  };
  const text = JSON.stringify({ ...fields, crc: crcOf(fields) });
  const draft = `${identityName}.new`;
  if ((await disk.names()).includes(draft)) await disk.remove(draft);
  const file = await disk.open(draft, { create: true, synced: true });
  try {
    await file.write([Buffer.from(`${text}\n`)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(draft, identityName);
  await disk.sync();
}

/** Undefined when there is none, or it is not whole: the heads of the segments say the same. */
export async function readIdentity(disk: Disk): Promise<Identity | undefined> {
  if (!(await disk.names()).includes(identityName)) return undefined;
  const file = await disk.open(identityName, { create: false, synced: false });
  const bytes = await readAll(file, textBytesMax).finally(() => file.close());
  const parsed = parse(Buffer.from(bytes).toString('utf8'));
  if (parsed === undefined || parsed.crc !== crcOf(parsed)) return undefined;
  if (parsed.format !== formatVersion)
    throw new JournalError(
      'journal_newer',
      `The journal is of format ${JSON.stringify(parsed.format)}; this deye knows format ${formatVersion}. Use the deye that wrote it.`,
    );
  const [storeId, firstSalt] = [bytesOf(parsed.store_id), bytesOf(parsed.first_salt)];
  return storeId && firstSalt ? { storeId, firstSalt } : undefined;
}

/** As the heads of the segments have it; undefined when there is no segment. */
export async function identityOfSegments(handles: ReadonlyMap<number, DiskFile>): Promise<Identity | undefined> {
  if (handles.size === 0) return undefined;
  for (const [number, file] of handles) {
    const head = readSegmentHead(await readAll(file, blockBytes));
    if (head !== undefined)
      return { storeId: head.storeId, firstSalt: number === 1 ? head.salt : new Uint8Array(saltBytes) };
  }
  throw new JournalError(
    'journal_damaged',
    `${identityName} and the heads of all segments are damaged, so nothing says whose journal this is.`,
  );
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // damaged; see above
  }
}

const bytesOf = (hex: unknown): Uint8Array | undefined =>
  typeof hex === 'string' && new RegExp(`^[0-9a-f]{${saltBytes * 2}}$`).test(hex)
    ? Uint8Array.from(Buffer.from(hex, 'hex'))
    : undefined;
