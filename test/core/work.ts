/**
 * How much the core works, counted by the engine itself: how many functions of `src/core` and `src/time` are called. The
 * count is the same on every machine, but for a call or two, so a test can hold a bound to it, where it could not to a time.
 */
import { Session } from 'node:inspector';

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

export function workOf(run: () => void): number {
  using session = counting();
  run();
  return callsIn(session);
}

/** As `workOf`, of what happens meanwhile. */
export async function workDuring(run: () => Promise<void>): Promise<number> {
  using session = counting();
  await run();
  return callsIn(session);
}

function callsIn(session: Session): number {
  let calls = 0;
  session.post('Profiler.takePreciseCoverage', (error: Error | null, { result }: Coverage) => {
    if (error !== null) throw error;
    for (const { url, functions } of result)
      if (/\/src\/(core|time)\/[a-z-]+\.ts/.test(url))
        for (const { ranges } of functions) for (const { count } of ranges) calls += count;
  });
  if (calls === 0) throw new Error('nothing was counted');
  return calls;
}

function counting(): Session & Disposable {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  return Object.assign(session, { [Symbol.dispose]: () => session.disconnect() });
}
