/**
 * Topics and patterns.
 *
 *   topic    = segment *7( "." segment )          segment = 1*( a-z / 0-9 / "_" / "-" )
 *   pattern  = like a topic, where a segment may be "*" (or "+", the same: exactly one segment),
 *              and the last one may be "#" (zero or more segments)
 *
 * At most 8 segments and 255 bytes. `system` and `debug` are reserved roots. A pattern that could never match a
 * topic is refused instead of waiting in silence.
 */
import { type Fault, fault } from './fault.ts';
import { limitTable } from './limits.ts';

const segmentRule = /^[a-z0-9_-]+$/;
const reservedRoots = new Set(['system', 'debug']);
const bytesMax = limitTable.topicBytesMax.value;
const segmentsMax = limitTable.topicSegmentsMax.value;

function refuseSegments(kind: 'topic' | 'pattern', text: string, segments: string[]): string | undefined {
  if (text.length === 0) return 'is empty';
  if (Buffer.byteLength(text) > bytesMax) return `is longer than ${bytesMax} bytes`;
  if (
    segments.length > segmentsMax &&
    !(kind === 'pattern' && segments.length === segmentsMax + 1 && segments.at(-1) === '#')
  )
    return `has more than ${segmentsMax} segments`;
  for (const [at, segment] of segments.entries()) {
    if (segment === '') return 'has an empty segment';
    if (kind === 'pattern' && (segment === '*' || segment === '+')) continue;
    if (kind === 'pattern' && segment === '#') {
      if (at !== segments.length - 1) return '"#" must be the last segment';
      continue;
    }
    if (!segmentRule.test(segment))
      return `has a character outside a-z 0-9 _ - in segment ${JSON.stringify(segment.slice(0, 40))}`;
  }
  if (reservedRoots.has(segments[0]!)) return `starts with the reserved root "${segments[0]}"`;
  return undefined;
}

/** `undefined` when `topic` may be published to, else the fault `bad_topic` that names the broken rule. */
export function refuseTopic(topic: string): Fault | undefined {
  const why = refuseSegments('topic', topic, topic.split('.'));
  return why === undefined
    ? undefined
    : fault('bad_topic', `Topic ${JSON.stringify(topic.slice(0, 300))} ${why}.`, { rule: why });
}

/** `undefined` when `pattern` may be subscribed to, else the fault `bad_pattern` that names the broken rule. */
export function refusePattern(pattern: string): Fault | undefined {
  const why = refuseSegments('pattern', pattern, pattern.split('.'));
  return why === undefined
    ? undefined
    : fault('bad_pattern', `Pattern ${JSON.stringify(pattern.slice(0, 300))} ${why}.`, { rule: why });
}

/** One spelling of what `*` and its alias `+` mean alike. */
export const canonicalPattern = (pattern: string): string => pattern.replaceAll('+', '*');

/** Whether `pattern` matches `topic`. Both must be valid. The reference for the trie in `relay/subscription.ts`. */
export function topicMatches(pattern: string, topic: string): boolean {
  const wanted = pattern.split('.');
  const given = topic.split('.');
  for (let at = 0; at < wanted.length; at++) {
    const segment = wanted[at]!;
    if (segment === '#') return true;
    if (at >= given.length) return false;
    if (segment !== '*' && segment !== '+' && segment !== given[at]) return false;
  }
  return wanted.length === given.length;
}
