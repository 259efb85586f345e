/**
 * Values as JSON, for a terminal and for programs: integers beyond 2^53 in all their digits, and no character that could
 * move the cursor, turn the line around or hide what follows. What is escaped is still the same value to a parser.
 */

/** Categories Cc, Cf, Zl and Zp as `plain` has them; those below U+0020 JSON itself escapes. */
const unsafe = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** As `JSON.stringify`, and `null` for what has no JSON. */
export function jsonOf(value: unknown, indent = 0): string {
  const text = stringify(value, indent) ?? 'null';
  return escapeJson(text);
}

/** Text that is JSON already. */
export const escapeJson = (text: string): string => text.replace(unsafe, escaped);

export const isUnsafe = (text: string): boolean => text.search(unsafe) !== -1;

/** Escaped for YAML, whose double quotes know code points; what it stands in must be quoted. */
export const escapeYaml = (text: string): string =>
  text.replace(unsafe, (char) => `\\U${char.codePointAt(0)!.toString(16).padStart(8, '0')}`);

const escaped = (char: string): string =>
  char
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');

// Of ES2026; Node has it.
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => object };

function stringify(value: unknown, indent: number): string | undefined {
  try {
    return JSON.stringify(value, null, indent);
  } catch {
    // There is a bigint in it; looking at every value costs too much where there is none.
    return JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? rawJSON(String(one)) : one), indent);
  }
}
