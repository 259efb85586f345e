/** Colour, where stdout is a terminal that wants it (NO_COLOR is respected). */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

export const paint = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });

/** NO_COLOR turns it off; for code that draws by other means than `paint`. Bold, dim and inverse stay. */
export const isColourWanted = (env: Readonly<Record<string, string | undefined>> = process.env): boolean =>
  !env.NO_COLOR;

/** The colour of a state of a task or a status of a collector. */
export function statusStyle(status: string): Style {
  if (status === 'healthy' || status === 'completed') return 'green';
  if (status === 'failing' || status === 'quarantined' || status === 'dead_letter' || status === 'unhealthy')
    return 'red';
  if (status === 'in_progress' || status === 'starting') return 'cyan';
  if (status === 'degraded' || status === 'retrying' || status === 'draining') return 'yellow';
  return 'gray';
}
