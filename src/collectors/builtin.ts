/** The collectors that come with deye, by type. */
import type { CollectorProgram } from '../collector/define.ts';

export const builtin: Readonly<Record<string, () => Promise<CollectorProgram>>> = {
  procmond: async () => (await import('./procmond/procmond.ts')).procmond(),
};
