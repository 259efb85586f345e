/**
 * The files of one directory, as the journal needs them. The real one is `file-disk.ts`; its twin forgets, tears and
 * reorders what was not synced (test/twins/disk.ts).
 */
export interface Disk {
  names(): Promise<string[]>;
  /** Bytes that may still be written. */
  free(): Promise<number>;
  /** Opens a file for reading and writing; with `create` it is made, and must not be there. */
  open(name: string, how: { readonly create: boolean; readonly synced: boolean }): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes what was opened, renamed and removed durable. */
  sync(): Promise<void>;
}

export interface DiskFile {
  size(): Promise<number>;
  /** Whether the file is still the one of that name in its directory, and not shorter than it was. */
  at(name: string): 'there' | 'removed' | 'moved' | 'replaced' | 'cut';
  /** Fills `into` from `position` on; answers how many bytes there were. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** All of it, or it rejects; durable afterwards if the file was opened as synced. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>;
  sync(): Promise<void>;
  /** A second time it does nothing. */
  close(): Promise<void>;
}

/** There is no space left for what was to be written. */
export class DiskFullError extends Error {
  override readonly name = 'DiskFullError';
}
