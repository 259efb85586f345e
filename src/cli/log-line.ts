/** A line of the broker's log as a person reads it. */
import { paint } from '../text/paint.ts';
import { inline, plain } from '../text/plain.ts';

const levels: Readonly<Record<number, readonly [string, Parameters<typeof paint>[0]]>> = {
  10: ['trace', 'gray'],
  20: ['debug', 'gray'],
  30: ['info', 'green'],
  40: ['warn', 'yellow'],
  50: ['error', 'red'],
  60: ['fatal', 'red'],
};

/** The entry of a line; of one that is no entry, such as the last words of a crash, its text as `msg` alone. */
export function logEntry(line: string): Readonly<Record<string, unknown>> {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry === 'object' && entry !== null && !Array.isArray(entry)) return { ...entry };
  } catch {
    // not JSON
  }
  return { msg: line };
}

export function prettyLogLine(line: string): string {
  const entry = logEntry(line);
  if (entry.level === undefined) return plain(String(entry.msg ?? line), 4000);
  const { time, level, msg, pid: _pid, hostname: _host, component, err, ...rest } = entry;
  const [name, style] = levels[Number(level)] ?? [String(level), 'gray'];
  const details = Object.entries(rest).map(
    ([key, value]) => `${plain(key)}=${typeof value === 'string' ? plain(value) : inline(value)}`,
  );
  const problem = err === undefined ? '' : ` — ${plain(String((err as { message?: string }).message ?? err), 1000)}`;
  return `${new Date(Number(time)).toISOString()} ${paint(style, name.padEnd(5))} ${plain(String(component ?? ''))}: ${plain(String(msg ?? ''), 4000)}${problem} ${paint('gray', details.join(' '))}`.trimEnd();
}
