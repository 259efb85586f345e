/** The operation enumerate_processes: which processes, and what of them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { NonRetryableError } from '../../collector/error.ts';
import { type ProcessField, type ProcessRow, processFields, readProcessTable } from './process-table.ts';

const oneOrMore = <T extends z.ZodType>(of: T) => z.union([of, z.array(of).max(1000)]);
const selectable = [...processFields, 'sha256'] as const;

const enumerateSchema = z.strictObject({
  filter: z
    .strictObject({
      pid: oneOrMore(z.number().int().min(0)).optional(),
      /** A part of the name, in any case. */
      name: z.string().min(1).max(256).optional(),
      user: oneOrMore(z.string().min(1).max(256)).optional(),
    })
    .default({}),
  /** Default all but sha256, which reads every executable. */
  fields: z
    .array(z.enum(selectable))
    .min(1)
    .default([...processFields]),
  sort: z.enum(processFields).default('pid'),
  limit: z.number().int().min(1).max(100_000).optional(),
});

interface EnumerateResult {
  readonly processes: Partial<ProcessRow & { sha256: string | null }>[];
  /** How many the filter matched, before the limit. */
  readonly matched: number;
  /** How many there are. */
  readonly total: number;
}

/** Throws NonRetryableError when the payload is not understood: trying again would not help. */
export async function enumerateProcesses(
  payload: unknown,
  signal: AbortSignal,
  read = readProcessTable,
): Promise<EnumerateResult> {
  const parsed = enumerateSchema.safeParse(payload ?? {});
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new NonRetryableError(`enumerate_processes: ${path.map(String).join('.') || 'payload'}: ${message}`);
  }
  const { filter, fields, sort, limit } = parsed.data;
  const all = await read();
  const wanted = all.filter(
    (row) =>
      matches(filter.pid, row.pid) &&
      matches(filter.user, row.user) &&
      (filter.name === undefined || row.name.toLowerCase().includes(filter.name.toLowerCase())),
  );
  const sorted = wanted.sort((a, b) => compare(a, b, sort)).slice(0, limit);
  const hashes = fields.includes('sha256') ? new Map<string, string | null>() : undefined;
  const processes: EnumerateResult['processes'] = [];
  for (const row of sorted) {
    signal.throwIfAborted();
    const picked: Record<string, unknown> = {};
    for (const field of fields)
      picked[field] = field === 'sha256' ? await hashOf(row.executable, hashes!) : row[field as ProcessField];
    processes.push(picked);
  }
  return { processes, matched: wanted.length, total: all.length };
}

const matches = <T>(wanted: T | readonly T[] | undefined, given: T): boolean =>
  wanted === undefined || (Array.isArray(wanted) ? wanted.includes(given) : wanted === given);

/** Numbers of use fall, the rest rises. */
function compare(a: ProcessRow, b: ProcessRow, by: ProcessField): number {
  const [x, y] = [a[by] ?? '', b[by] ?? ''];
  const order = x < y ? -1 : x > y ? 1 : a.pid - b.pid;
  return by === 'cpu_percent' || by === 'memory_bytes' ? -order : order;
}

async function hashOf(path: string | null, known: Map<string, string | null>): Promise<string | null> {
  if (path === null) return null;
  let hash = known.get(path);
  if (hash === undefined) {
    const digest = createHash('sha256');
    hash = await pipeline(createReadStream(path), digest).then(
      () => digest.digest('hex'),
      () => null, // deleted, replaced, or not ours to read
    );
    known.set(path, hash);
  }
  return hash;
}
