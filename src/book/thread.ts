/** The thread that owns the book: takes one message after the other, answers each. */
import { parentPort, workerData } from 'node:worker_threads';
import type { BookError } from './error.ts';
import { SqliteBook } from './sqlite-book.ts';

export type BookMethod = Exclude<keyof SqliteBook, 'explain'>;
export type BookAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly code: BookError['code']; readonly message: string } };

interface BookRequest {
  readonly id: number;
  readonly method: BookMethod;
  readonly args: readonly unknown[];
}

const port = parentPort!;
let book: SqliteBook | undefined;

/** One after the other, also where one takes its time. */
let latest: Promise<void> = Promise.resolve();
port.on('message', (request: BookRequest) => {
  latest = latest.then(() => answer(request));
});

async function answer({ id, method, args }: BookRequest): Promise<void> {
  try {
    // One that could not be opened, or was not, needs no closing.
    if (method !== 'close') book ??= new SqliteBook((workerData as { path: string }).path);
    const result = await (book?.[method] as (...args: readonly unknown[]) => unknown)?.call(book, ...args);
    port.postMessage({ id, result } satisfies BookAnswer);
  } catch (error) {
    const { code, message } = book === undefined ? (error as BookError) : book.explain(error);
    port.postMessage({ id, error: { code, message } } satisfies BookAnswer);
  }
  if (method === 'close') port.close();
}
