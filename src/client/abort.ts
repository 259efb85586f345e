/**
 * Abort listeners that share one listener per signal. Node before version 24 warns of a leak from the eleventh on, and
 * one signal for a hundred calls or twenty collectors is none.
 */
const listeners = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `listener` once when the signal aborts, at once if it has. Returns a function that removes it. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => {};
  }
  const shared = listeners.get(signal) ?? share(signal);
  const own = () => listener();
  shared.add(own);
  return () => shared.delete(own);
}

function share(signal: AbortSignal): Set<() => void> {
  const shared = new Set<() => void>();
  listeners.set(signal, shared);
  signal.addEventListener(
    'abort',
    () => {
      for (const listener of shared) listener();
      shared.clear();
    },
    { once: true },
  );
  return shared;
}
