/** Where a broker keeps its tasks, as it tells it: `journal:` and a directory; anything else has none. */

const scheme = 'journal:';

export const addressOf = (directory: string): string => `${scheme}${directory}`;

export const directoryOf = (address: string): string | undefined =>
  address.startsWith(scheme) ? address.slice(scheme.length) : undefined;
