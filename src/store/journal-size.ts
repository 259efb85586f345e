/** How large the journal is, against what lives in it. */
import type { CompactParts } from './compact.ts';

type SizeParts = Pick<CompactParts, 'journal' | 'live'>;

/** Beside what lives: what a batch of it has of its own. */
const ownBytes = 1024 * 1024;

/** How large the segments are to be: one for all that lives, if that is not too much for one. */
export const wantedBytes = ({ journal, live }: SizeParts): number => journal.segmentFor(live.bytes + ownBytes);

/** Whether the journal has more than it would have afterwards: what lives, and the newest segment. */
export function isTooLarge(parts: SizeParts): boolean {
  const [segment, lives] = [wantedBytes(parts), parts.live.bytes];
  return parts.journal.space.usedBytes > (lives < segment ? segment : lives + segment) + segment;
}
