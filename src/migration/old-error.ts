/** What SQLite's errors mean here. */
import { StoreError } from '../store/port.ts';

/** Primary result codes of SQLite, as https://sqlite.org/rescode.html numbers them. */
const code = { perm: 3, readonly: 8, corrupt: 11, full: 13, cantOpen: 14, auth: 23, notADatabase: 26 } as const;

export const damaged = (path: string, what: string, cause?: unknown): StoreError =>
  new StoreError(
    'store_corrupt',
    `The store ${path} is damaged (${what}). It was not changed. Restore a copy, or move it away to start with an empty one.`,
    { cause },
  );

/** Any error as a StoreError that says what to do. */
export function explainOld(path: string, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const { errcode = 0, message } = cause as { errcode?: number; message: string };
  switch (errcode & 0xff) {
    case code.corrupt:
    case code.notADatabase:
      return damaged(path, message, cause);
    case code.full:
      return new StoreError('store_full', `The disk under ${path} is full. Free some space and start again.`, {
        cause,
      });
    case code.cantOpen:
    case code.readonly:
    case code.auth:
    case code.perm:
      return new StoreError(
        'store_unavailable',
        `The store ${path} cannot be opened for writing: ${message}. Check that its directory exists and is yours.`,
        { cause },
      );
    default:
      return new StoreError('store_failed', `The store ${path} failed: ${message}.`, { cause });
  }
}
