/** The part of a message that names where a broker was looked for. */
import type { Found } from '../configuration/place.ts';

/** Where a socket was named; nothing when that is plain to see. */
export const namedIn = ({ origin }: Pick<Found<string>, 'origin'>): string =>
  origin === 'default' || origin === '--socket' ? '' : ` (socket of ${origin})`;
