/** Data as it was asked for: a table for people, JSON, JSON lines or YAML for programs. */
import { escapeYaml, isUnsafe, jsonOf } from '../text/json.ts';

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
      return jsonOf(data, process.stdout.isTTY ? 2 : 0);
    case 'jsonl':
      return (Array.isArray(data) ? data : [data]).map((one) => jsonOf(one)).join('\n');
    case 'yaml':
      return (await yaml())(data);
  }
}

/** For commands that print item after item as they come. */
export async function itemFormatter(format: Format): Promise<(item: unknown, people: () => string) => string> {
  if (format === 'table') return (_, people) => people();
  if (format !== 'yaml') return (item) => jsonOf(item);
  const text = await yaml();
  return (item) => `---\n${text(item)}`; // a document each
}

async function yaml(): Promise<(data: unknown) => string> {
  const { Document, visit } = await import('yaml');
  return (data) => {
    const document = new Document(data, { aliasDuplicateObjects: false });
    visit(document, {
      Scalar(_, node) {
        if (typeof node.value === 'string' && isUnsafe(node.value)) node.type = 'QUOTE_DOUBLE';
      },
    });
    return escapeYaml(document.toString()).trimEnd();
  };
}
