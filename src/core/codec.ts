/** Values as bytes, from one description that writes and reads: a codec. */
import type { Reader, Writer } from './bytes.ts';

/** How a value lies in its bytes, in words; deye-store(7) prints it. */
export interface Form {
  readonly text: string;
  /** Of a value that has parts, in order. */
  readonly fields?: readonly (readonly [name: string, form: Form])[];
}

export interface Codec<T> {
  readonly form: Form;
  readonly write: (to: Writer, value: T) => void;
  /** Throws a RangeError when the bytes end too early or mean nothing. */
  readonly read: (from: Reader) => T;
}

export const number: Codec<number> = {
  form: { text: 'number' },
  write: (to, value) => to.number(value),
  read: (from) => from.number(),
};
export const text: Codec<string> = {
  form: { text: 'text' },
  write: (to, value) => to.text(value),
  read: (from) => from.text(),
};

/** A text that is mostly the same from record to record. */
export function repeatedText(): Codec<string> {
  let latest = '';
  const read = (from: Reader): string => {
    latest = from.text(latest);
    return latest;
  };
  return { ...text, read };
}

/** A payload or a result. */
export const body: Codec<Uint8Array> = {
  form: { text: 'body' },
  write: (to, value) => to.body(value),
  read: (from) => from.body(),
};

/** One of the names, as its place among them; names are only ever added behind. */
export function oneOf<const Name extends string>(names: readonly Name[]): Codec<Name> {
  return {
    form: { text: `number: ${names.map((name, at) => `${at} ${name}`).join(', ')}` },
    write: (to, value) => to.number(names.indexOf(value)),
    read: (from) => {
      const name = names[from.number()];
      if (name === undefined) throw new RangeError('a name is unknown');
      return name;
    },
  };
}

export const optional = <T>({ form, write, read }: Codec<T>): Codec<T | undefined> => ({
  form: { ...form, text: `optional ${form.text}` },
  write: (to, value) => {
    to.byte(value === undefined ? 0 : 1);
    if (value !== undefined) write(to, value);
  },
  read: (from) => (from.byte() === 0 ? undefined : read(from)),
});

export const list = <T>({ form, write, read }: Codec<T>): Codec<readonly T[]> => ({
  form: { ...form, text: `list of ${form.text}` },
  write: (to, values) => {
    to.number(values.length);
    for (const value of values) write(to, value);
  },
  read: (from) => {
    const count = countOf(from);
    return count === 0 ? none : Array.from({ length: count }, () => read(from));
  },
});

/** Most lists and maps are empty: those share one. */
const none: readonly never[] = Object.freeze([]);
const noTexts: Readonly<Record<string, string>> = Object.freeze({});

export const textMap: Codec<Readonly<Record<string, string>>> = {
  form: { text: 'map' },
  write: (to, map) => {
    const keys = Object.keys(map);
    to.number(keys.length);
    for (const key of keys) {
      to.text(key);
      to.text(map[key]!);
    }
  },
  // Without a prototype's setters: "__proto__" is a key like any other.
  read: (from) => {
    const count = countOf(from);
    if (count === 0) return noTexts;
    return Object.fromEntries(Array.from({ length: count }, () => [from.text(), from.text()]));
  },
};

/** A count that what follows can hold: each takes a byte at least. */
function countOf(from: Reader): number {
  const count = from.number();
  if (count > from.left) throw new RangeError('the bytes end too early');
  return count;
}

/** Every field of T, in this order. */
export function struct<T extends object>(fields: { readonly [K in keyof T]-?: Codec<T[K]> }): Codec<T> {
  const entries = Object.entries(fields) as [keyof T & string, Codec<unknown>][];
  const blank = Object.fromEntries(entries.map(([key]) => [key, undefined])) as Partial<Record<keyof T, unknown>>;
  return {
    form: { text: 'fields', fields: entries.map(([name, { form }]) => [name, form]) },
    write: (to, value) => {
      for (const [key, codec] of entries) codec.write(to, value[key]);
    },
    read: (from) => {
      const value = { ...blank };
      for (const [key, codec] of entries) value[key] = codec.read(from);
      return value as T;
    },
  };
}

/** As `struct`, of fields that may be missing: a missing one stays missing. */
export function sparse<T extends object>(
  fields: {
    readonly [K in keyof T]-?: Codec<Exclude<T[K], undefined>>;
  },
): Codec<T> {
  const entries = Object.entries(fields).map(([key, codec]) => [key, optional(codec as Codec<unknown>)] as const);
  return {
    form: { text: 'fields', fields: entries.map(([name, { form }]) => [name, form]) },
    write: (to, value) => {
      for (const [key, codec] of entries) codec.write(to, value[key as keyof T]);
    },
    read: (from) => {
      const found: Record<string, unknown> = {};
      for (const [key, codec] of entries) {
        const value = codec.read(from);
        if (value !== undefined) found[key] = value;
      }
      return found as T;
    },
  };
}
