/** The collectors that come with deye, by type. */
import type { Collector } from '../collector/define.ts';

export const builtin: Readonly<Record<string, () => Promise<Collector>>> = {
  procmond: async () => (await import('./procmond/procmond.ts')).procmond(),
};
