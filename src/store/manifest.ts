/** What a backup says of itself, written last: what it is of, up to where, and every file in it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { BackedUp } from '../protocol/store-methods.ts';
import type { CopiedFile } from './copy-file.ts';
import { StoreError } from './port.ts';

const name = 'manifest.json';

export const isBackup = (directory: string): boolean => existsSync(join(directory, name));
const formatVersion = 1;

export interface Manifest {
  readonly format: number;
  /** Of the deye that wrote it. */
  readonly version: string;
  readonly store_id: string;
  readonly epoch: number;
  /** The last batch in it, and its CRC-32. */
  readonly sequence: number;
  readonly crc: number;
  readonly made_at_ms: number;
  readonly files: readonly ManifestFile[];
}

interface ManifestFile extends CopiedFile {
  readonly name: string;
}

const crcOf = (manifest: object): number => crc32(JSON.stringify(manifest));

export async function writeManifest(directory: string, fields: Omit<Manifest, 'format'>): Promise<Manifest> {
  const manifest: Manifest = { format: formatVersion, ...fields };
  await using file = await open(join(directory, name), 'wx', 0o600);
  await file.writeFile(`${JSON.stringify({ ...manifest, manifest_crc: crcOf(manifest) }, null, 2)}\n`);
  await file.sync();
  return manifest;
}

/** Throws a StoreError when there is none, or it is not whole, or of a newer deye. */
export function readManifest(directory: string): Manifest {
  const path = join(directory, name);
  if (!existsSync(directory))
    throw new StoreError(
      'backup_missing',
      `There is no directory ${directory}. Name the one that deye store backup made.`,
    );
  const refuse = (what: string, cause?: unknown): never => {
    throw new StoreError('backup_damaged', `${directory} is no whole backup: ${what}. Take another one.`, { cause });
  };
  const kind = statSync(path, { throwIfNoEntry: false });
  if (kind !== undefined && !kind.isFile()) return refuse(`${name} is no regular file`);
  let parsed: Manifest & { readonly manifest_crc: number };
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8')) as typeof parsed;
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    return refuse(isMissing ? `it has no ${name}, which is written last` : `${name} cannot be read`, cause);
  }
  const { manifest_crc: stated, ...manifest } = Object(parsed) as typeof parsed;
  if (typeof manifest.format === 'number' && manifest.format > formatVersion)
    throw new StoreError(
      'backup_newer',
      `The backup ${directory} is of format ${manifest.format}, made by deye ${manifest.version}; this deye knows up to ${formatVersion}. Use the newer one.`,
    );
  if (crcOf(manifest) !== stated) return refuse(`${name} was changed`);
  return manifest;
}

/** What is wrong with a file of a backup; undefined when it is the one that the manifest names. */
export function differenceOf(
  { name: file, bytes, crc }: ManifestFile,
  found: CopiedFile | undefined,
): string | undefined {
  if (found === undefined) return `${file} is missing`;
  if (found.bytes === bytes && found.crc === crc) return undefined;
  return `${file} is not as the manifest says: ${found.bytes} bytes, CRC-32 ${found.crc}, and not ${bytes} and ${crc}`;
}

/** What is told of a backup. */
export const summaryOf = (directory: string, { store_id, epoch, sequence, made_at_ms, files }: Manifest): BackedUp => ({
  directory,
  store_id,
  epoch,
  sequence,
  made_at_ms,
  file_count: files.length,
  bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
});
