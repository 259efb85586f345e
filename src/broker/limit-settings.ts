/** Limits as people set them: `limits.pending_max` in deye.yaml, DEYE_LIMITS_PENDING_MAX in the environment. */
import { ConfigurationError } from '../configuration/error.ts';
import { type LimitName, type LimitRow, type Limits, limitKey, limitTable } from '../protocol/limits.ts';
import { nearestName } from '../text/edit-distance.ts';
import type { CheckedFile } from './configuration-schema.ts';

interface Candidate {
  readonly value: number;
  readonly origin: string;
  /** How it is named there. */
  readonly shown: string;
}

const prefix = 'DEYE_LIMITS_';
const rows: readonly (readonly [LimitName, LimitRow])[] = Object.entries(limitTable) as [LimitName, LimitRow][];
const byKey = new Map(rows.map(([name, row]) => [limitKey(name), { name, row }]));
const configurableKeys = [...byKey].filter(([, { row }]) => row.configurable).map(([key]) => key);

/** Beside a payload a frame carries the task it belongs to. */
const frameRoomBytes = 1024 * 1024;

/** What the environment and the files set, the one that wins first. Throws a ConfigurationError. */
export function limitCandidates(
  files: readonly CheckedFile[],
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<LimitName, Candidate> {
  const found = new Map<LimitName, Candidate>();
  const add = (key: string, value: unknown, origin: string, shown: string, display: (key: string) => string): void => {
    const name = check(key, value, shown, display);
    if (!found.has(name)) found.set(name, { value: value as number, origin, shown });
  };
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(prefix) || text === undefined || text === '') continue;
    const value = /^\d+$/.test(text) ? Number(text) : text;
    const display = (key: string): string => `${prefix}${key.toUpperCase()}`;
    add(variable.slice(prefix.length).toLowerCase(), value, variable, variable, display);
  }
  for (const { path, values } of files)
    for (const [key, value] of Object.entries(values.limits ?? {}))
      add(key, value, path, `${path}: limits.${key}`, (known) => known);
  return found;
}

/** Defaults where nothing is set; notes where each came from. Throws when two limits contradict each other. */
export function resolveLimits(candidates: ReadonlyMap<LimitName, Candidate>, origins: Map<string, string>): Limits {
  const limits = Object.fromEntries(
    rows.map(([name, { value, configurable }]) => {
      const candidate = candidates.get(name);
      if (configurable) origins.set(`limits.${limitKey(name)}`, candidate?.origin ?? 'default');
      return [name, candidate?.value ?? value];
    }),
  ) as Limits;
  const most = limits.frameBytesMax - frameRoomBytes;
  if (limits.payloadBytesMax > most) {
    const shown = candidates.get('payloadBytesMax')?.shown ?? candidates.get('frameBytesMax')?.shown ?? 'limits';
    throw new ConfigurationError(
      `${shown}: payload_bytes_max (${limits.payloadBytesMax}) must be at least 1 MiB below frame_bytes_max (${limits.frameBytesMax}), so at most ${most}.`,
    );
  }
  return limits;
}

function check(key: string, value: unknown, shown: string, display: (key: string) => string): LimitName {
  const refuse = (why: string): never => {
    throw new ConfigurationError(`${shown}: ${why}`);
  };
  const found = byKey.get(key);
  if (found === undefined) {
    const snake = limitKey(key);
    const meant = configurableKeys.includes(snake) ? snake : nearestName(snake, configurableKeys);
    return refuse(
      `there is no such limit${meant === undefined ? '; see deye-protocol(7)' : `; did you mean ${display(meant)}?`}`,
    );
  }
  const { name, row } = found;
  if (!row.configurable) return refuse(`this limit is fixed at ${row.value} ${row.unit}.`);
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    return refuse(`is ${JSON.stringify(value)}; it must be a positive whole number of ${row.unit}.`);
  if (value > row.most) return refuse(`is ${value}; the most is ${row.most} ${row.unit}.`);
  return name;
}
