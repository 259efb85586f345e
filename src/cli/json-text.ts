/**
 * JSON as people give it: its integers exact, and where a text stops being JSON. The parser's own message quotes the
 * text, which may be a file or standard input that does not belong in a terminal or a log.
 */

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
// The source of a number is of ES2026; Node has it.
const parse = JSON.parse as (text: string, reviver?: Reviver) => unknown;

/** What MessagePack carries as an integer. */
const least = -(2n ** 63n);
const most = 2n ** 64n - 1n;

/**
 * As `JSON.parse`, but an integer that a number cannot hold becomes a bigint; one that MessagePack cannot carry either,
 * and a decimal that would lose what stands before its point, is given to `refuse`, with the reason.
 */
export function parseExactly(text: string, refuse: (why: string) => never): unknown {
  if (!/\d{16}|\de/i.test(text)) return parse(text); // nothing in it is that large
  return parse(text, (_, value, { source = '' }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const shown = source.length > 60 ? `${source.slice(0, 59)}…` : source;
    if (/^-?\d+$/.test(source)) {
      const exact = BigInt(source);
      if (exact >= least && exact <= most) return exact;
      if (String(value) === source) return value; // 1e20, for example, written out: it comes back as it was given
      return refuse(`the integer ${shown}; it must be from ${least} to ${most}. Write it as a text.`);
    }
    const loses = Math.abs(value) > Number.MAX_SAFE_INTEGER && !/e/i.test(source);
    if (loses || !Number.isFinite(value))
      return refuse(`the number ${shown}, which is too large to be kept as it is. Write it as a text.`);
    return value;
  });
}

/** Line and column, from 1, of the first token that does not fit; undefined when all of it is JSON. */
export function jsonFlaw(text: string): { readonly line: number; readonly column: number } | undefined {
  const at = flawAt(text);
  if (at === undefined) return undefined;
  const before = text.slice(0, at);
  return { line: before.split('\n').length, column: at - before.lastIndexOf('\n') };
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literal = /true|false|null/y;

/** The states between two tokens of a text: what may come next. */
type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma or end';

function flawAt(text: string): number | undefined {
  /** The brackets that are open. */
  const open: string[] = [];
  let expected: Expected = 'value';
  for (let at = 0; ; ) {
    while (' \t\n\r'.includes(text[at] ?? 'x')) at++;
    const char = text[at];
    const token = at;
    const isKey: boolean = expected === 'key' || expected === 'key or }';
    if (expected === 'comma or end' && open.length === 0) return at === text.length ? undefined : at;
    if (char === undefined) return at;
    at++;
    if (expected === 'colon') {
      if (char !== ':') return token;
      expected = 'value';
    } else if (expected === 'comma or end') {
      const closes = open.at(-1)!;
      if (char === closes) open.pop();
      else if (char === ',') expected = closes === '}' ? 'key' : 'value';
      else return token;
    } else if ((expected === 'key or }' && char === '}') || (expected === 'value or ]' && char === ']')) {
      open.pop();
      expected = 'comma or end';
    } else if (char === '"') {
      const end = stringEnd(text, at);
      if (end === undefined) return token;
      at = end;
      expected = isKey ? 'colon' : 'comma or end';
    } else if (isKey) return token;
    else if (char === '{' || char === '[') {
      open.push(char === '{' ? '}' : ']');
      expected = char === '{' ? 'key or }' : 'value or ]';
    } else {
      const end = scalarEnd(text, token);
      if (end === undefined) return token;
      at = end;
      expected = 'comma or end';
    }
  }
}

/** Behind the closing quote of the string whose text begins at `from`. */
function stringEnd(text: string, from: number): number | undefined {
  for (let at = from; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') return at + 1;
    if (char < ' ') return undefined;
    if (char !== '\\') continue;
    at++;
    if (text[at] === 'u') {
      if (!/^[0-9a-fA-F]{4}$/.test(text.slice(at + 1, at + 5))) return undefined;
      at += 4;
    } else if (!'"\\/bfnrt'.includes(text[at] ?? 'x')) return undefined;
  }
  return undefined;
}

function scalarEnd(text: string, from: number): number | undefined {
  for (const token of [number, literal]) {
    token.lastIndex = from;
    if (token.test(text)) return token.lastIndex;
  }
  return undefined;
}
