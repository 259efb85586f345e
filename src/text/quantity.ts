/** Numbers as people read them. */

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

/** 0 messages, 1 message, 2 messages. */
export const counted = (count: number, one: string, several = `${one}s`): string =>
  `${count} ${count === 1 ? one : several}`;
