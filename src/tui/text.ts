/** Words and numbers as people read them. Everything that came from outside goes through `plain` before a terminal sees it. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colours `text` when stdout is a terminal that wants colour (NO_COLOR is respected). */
export const paint = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });

/** Control characters escaped, and cut to `most` characters: a name cannot move the cursor or flood the screen. */
export function plain(text: string, most = 200): string {
  // Category Cc: control characters; Cf: those that reorder or hide what follows; Zl, Zp: line separators.
  const escaped = text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (char) => `\\x${char.codePointAt(0)!.toString(16).padStart(2, '0')}`,
  );
  return escaped.length <= most ? escaped : `${escaped.slice(0, most - 1)}…`;
}

/** Any value on one line. */
export function inline(value: unknown, most = 200): string {
  if (value === null || value === undefined) return '-';
  return plain(
    typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value),
    most,
  );
}

/** 950 ms, 12 s, 3 min, 5 h, 2 d. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

export const ago = (atMs: number, nowMs = Date.now()): string =>
  atMs === 0 ? '-' : duration(Math.max(0, nowMs - atMs));

/** 812 B, 4.2 MB: powers of 1,000, as SI says. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  let left = count;
  for (; left >= 1000 && at < units.length - 1; at++) left /= 1000;
  return `${at === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${units[at]}`;
}

export function statusStyle(status: string): Style {
  if (status === 'healthy' || status === 'completed') return 'green';
  if (status === 'failing' || status === 'quarantined' || status === 'dead_letter' || status === 'unhealthy')
    return 'red';
  if (status === 'in_progress' || status === 'starting') return 'cyan';
  if (status === 'degraded' || status === 'retrying' || status === 'draining') return 'yellow';
  return 'gray';
}
