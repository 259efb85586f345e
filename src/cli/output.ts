/** Data as it was asked for: a table for people, JSON, JSON lines or YAML for programs. */
export const formats = ['table', 'json', 'jsonl', 'yaml'] as const;
export type Format = (typeof formats)[number];

export interface OutputFlags {
  readonly json?: boolean | undefined;
  readonly output?: Format | undefined;
}

export const formatOf = ({ json = false, output = 'table' }: OutputFlags): Format => (json ? 'json' : output);

/** One answer as text. `people` is what a person sees. */
export async function formatted(data: unknown, format: Format, people: () => string): Promise<string> {
  switch (format) {
    case 'table':
      return people();
    case 'json':
      // One line, so that what `head` lets through is still whole; indented where a person reads it.
      return JSON.stringify(data, null, process.stdout.isTTY ? 2 : 0);
    case 'jsonl':
      return (Array.isArray(data) ? data : [data]).map((one) => JSON.stringify(one)).join('\n');
    case 'yaml':
      return (await yaml())(data);
  }
}

/** For commands that print item after item as they come. */
export async function itemFormatter(format: Format): Promise<(item: unknown, people: () => string) => string> {
  if (format === 'table') return (_, people) => people();
  if (format !== 'yaml') return (item) => JSON.stringify(item);
  const text = await yaml();
  return (item) => `---\n${text(item)}`; // a document each
}

async function yaml(): Promise<(data: unknown) => string> {
  const { stringify } = await import('yaml');
  return (data) => stringify(data, { aliasDuplicateObjects: false }).trimEnd();
}
