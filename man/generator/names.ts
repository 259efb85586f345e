/** The grammar of names and the bounds of values; `shape.ts` calls them by these words. */
import { reservedTargets } from '../../src/protocol/schema.ts';
import { term } from './roff.ts';

export const nameTerms: readonly string[] = [
  term(
    'identifier',
    '1 to 64 of a-z 0-9 _ -, beginning with a letter or digit: names of operations, ids and types of collectors, capabilities, event domains, strategies',
  ),
  term('id of a collector', `an identifier, but not ${reservedTargets.join(' or ')}: these are targets of calls`),
  term(
    'UUIDv7',
    'the id of a task, in lower case: 8-4-4-4-12 hex digits, of which the first 12 are the ms since the epoch; so ids in order of text are in order of time',
  ),
  term(
    'labels, metadata, tags',
    'a map of at most 64 entries; keys of at most 128 bytes, values strings of at most 1024 bytes',
  ),
  term(
    'correlation',
    'correlation_id, parent_id and root_id of at most 256 bytes of UTF-8, stage of at most 128, tags as above. Without one the id of the task is its correlation_id and root_id',
  ),
  term('token', 'a string of 1 to 64 characters, made by the broker; opaque'),
  term(
    'priority',
    'a whole number from 0 to 255, the higher the sooner, or critical (250), high (200), normal (100), low (50)',
  ),
  term(
    '…_ms, …_at_ms',
    'a span, and an instant in ms since the epoch; whole numbers. The broker writes a number beyond 2^32 as a float 64, as many MessagePack libraries of JavaScript do: read an integer of this page from either',
  ),
  term('…_bytes', 'a size in bytes'),
  term('…_seconds, …_us', 'whole numbers: uptime alone is given in seconds, and commits alone are timed in µs'),
];
