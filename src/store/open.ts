/** Stores by their address: `memory:` remembers nothing, `journal:DIRECTORY` is on the disk. */
import { type DiskSync, journalStoreIn } from './journal-directory.ts';
import { MemoryStore } from './memory.ts';
import { type Store, StoreError } from './port.ts';

interface OpenOptions {
  readonly sync: DiskSync;
}

const engines: Readonly<Record<string, (rest: string, options: OpenOptions) => Store>> = {
  memory: () => new MemoryStore(),
  journal: (directory, { sync }) => journalStoreIn(directory, { sync }),
};

/** Opens nothing yet: `load` does. Throws a StoreError for an engine that there is none of. */
export function openStore(address: string, options: OpenOptions): Store {
  const at = address.indexOf(':');
  const scheme = address.slice(0, Math.max(0, at));
  const engine = Object.hasOwn(engines, scheme) ? engines[scheme] : undefined;
  if (engine === undefined)
    throw new StoreError(
      'store_unavailable',
      `There is no store engine for ${JSON.stringify(address)}. There are: ${Object.keys(engines).join(', ')}.`,
    );
  return engine(address.slice(at + 1), options);
}
