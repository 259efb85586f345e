/** The time in a UUIDv7, and ids by their time. Nothing here makes one: the core may use it. */

/** When the id says it was made, in ms since the epoch. The id must be a UUIDv7. */
export const uuidTimeMs = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

/** The least id of that millisecond: every id with an earlier time sorts before it. */
export function uuidFirst(wallMs: number): string {
  const time = Math.floor(wallMs).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}

/** Just later than every one of the ids that is not ahead of the clock; 0 when there is none. */
export const afterIds = (ids: readonly string[], wallMs: number): number =>
  ids
    .map(uuidTimeMs)
    .filter((ms) => ms <= wallMs)
    .reduce((latest, ms) => Math.max(latest, ms + 1), 0);
