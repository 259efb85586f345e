/** SIGTERM and SIGINT for every collector of this process, by one listener each however many collectors there are. */
const names = ['SIGTERM', 'SIGINT'] as const;
const stops = new Set<() => void>();

const stopAll = (): void => {
  for (const stop of [...stops]) stop();
};

/** Calls `stop` for each such signal; returns a function that removes it. */
export function onTermination(stop: () => void): () => void {
  if (stops.size === 0) for (const name of names) process.on(name, stopAll);
  stops.add(stop);
  return () => {
    if (stops.delete(stop) && stops.size === 0) for (const name of names) process.off(name, stopAll);
  };
}

/** Whether no collector but one listens: the process is its own. */
export const isAlone = (): boolean => stops.size === 1;
