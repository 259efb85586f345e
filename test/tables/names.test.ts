/** A field's name means one type, in whatever row of the table it stands. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { collectorMethods } from '../../src/protocol/collector-method.ts';
import { helloSchema } from '../../src/protocol/hello.ts';
import { methodTable } from '../../src/protocol/message.ts';

/** Names that have several types, each with its reason. */
const exceptions: Readonly<Record<string, readonly string[]>> = {
  // A registration may come to say more of each; a view is of their names.
  operations: ['list of object', 'list of string'],
  // A submit may name it.
  priority: ['number', 'string'],
  // A list of tasks is filtered by several.
  state: ['list of string', 'string'],
  // Those of a batch are checked one by one, so that one that is wrong does not refuse the others.
  tasks: ['list of any', 'list of object'],
  // That of a program is a text, that of a collector's configuration counts its changes.
  version: ['number', 'string'],
};

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema | boolean;
  readonly prefixItems?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly additionalProperties?: JsonSchema | boolean;
}

/** Integers are numbers, and whatever may be null is what it is otherwise. A list or a map is told with what it holds. */
function typesOf(schema: JsonSchema | boolean | undefined): string[] {
  if (typeof schema !== 'object') return ['any'];
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap(typesOf).filter((type) => type !== 'null');
  if (schema.const !== undefined) return [typeof schema.const];
  if (schema.enum !== undefined) return schema.enum.map((one) => typeof one);
  if (schema.type === 'array') return typesOf(schema.items).map((of) => `list of ${of}`);
  if (schema.type === 'object')
    return schema.properties === undefined
      ? typesOf(schema.additionalProperties).map((of) => `map of ${of}`)
      : ['object'];
  return [schema.type === 'integer' ? 'number' : (schema.type ?? 'any')];
}

/** Every field of it, however deep. */
function* fieldsOf(schema: JsonSchema | boolean | undefined): Generator<[name: string, field: JsonSchema]> {
  if (typeof schema !== 'object') return;
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield [name, field];
    yield* fieldsOf(field);
  }
  for (const inner of [
    schema.items,
    schema.additionalProperties,
    ...(schema.anyOf ?? []),
    ...(schema.prefixItems ?? []),
  ])
    yield* fieldsOf(inner);
}

/** The types of each field's name, and where each was seen. */
function namesIn(schemas: Readonly<Record<string, z.ZodType>>): Map<string, Map<string, string[]>> {
  const names = new Map<string, Map<string, string[]>>();
  for (const [row, schema] of Object.entries(schemas)) {
    const json = z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }) as JsonSchema;
    for (const [name, field] of fieldsOf(json))
      for (const type of new Set(typesOf(field))) {
        const types = names.get(name) ?? new Map<string, string[]>();
        names.set(name, types.set(type, [...(types.get(type) ?? []), row]));
      }
  }
  return names;
}

const rows = Object.fromEntries(
  Object.entries({ ...methodTable, ...collectorMethods }).flatMap(([method, { params, reply }]) => [
    [`${method} params`, params as z.ZodType],
    [`${method} reply`, reply as z.ZodType],
  ]),
);

test('a name has one type in all rows, but for those that are named here', () => {
  const several: Record<string, string[]> = {};
  const seen: string[] = [];
  for (const [name, types] of namesIn({ hello: helloSchema, ...rows }))
    if (types.size > 1) {
      several[name] = [...types.keys()].sort();
      seen.push(
        `${name}: ${[...types].map(([type, where]) => `${type} in ${[...new Set(where)].join(', ')}`).join('; ')}`,
      );
    }
  expect(several, seen.join('\n')).toEqual(exceptions);
});

test('a name with two types would be found, however deep', () => {
  const deep = z.object({ list: z.array(z.record(z.string(), z.object({ warning: z.literal('none') }))) });
  const names = namesIn({ one: z.object({ warning: z.object({ code: z.string() }) }), deep });
  expect([...names.get('warning')!.keys()]).toEqual(['object', 'string']);
});
