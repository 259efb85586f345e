/** The thread that owns the SQLite file: takes one message after the other, answers each. */
import { parentPort, workerData } from 'node:worker_threads';
import type { StoreError } from './port.ts';
import { SqliteEngine } from './sqlite-engine.ts';

/** A request to the thread. */
type EngineMethod = 'load' | 'commit' | 'show' | 'states' | 'list' | 'expired' | 'check' | 'close';

type WorkerRequest = {
  [M in EngineMethod]: {
    id: number;
    method: M;
    argument: Parameters<SqliteEngine[M]>[0];
  };
}[EngineMethod];
export type WorkerAnswer =
  | { id: number; result: unknown }
  | { id: number; error: { code: StoreError['code']; message: string } };

const port = parentPort!;
let engine: SqliteEngine | undefined;

port.on('message', ({ id, method, argument }: WorkerRequest) => {
  try {
    engine ??= new SqliteEngine((workerData as { path: string }).path);
    const result = (engine[method] as (argument: unknown) => unknown)(argument);
    port.postMessage({ id, result } satisfies WorkerAnswer);
    if (method === 'close') port.close();
  } catch (error) {
    const { code, message } = engine === undefined ? (error as StoreError) : engine.explain(error);
    port.postMessage({ id, error: { code, message } } satisfies WorkerAnswer);
    if (method === 'close') port.close(); // of a file that could not even be opened
  }
});
