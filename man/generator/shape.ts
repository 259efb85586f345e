/** A zod schema in a few words, by way of its JSON schema. */
import { z } from 'zod';
import { identifierSchema, taskIdSchema } from '../../src/protocol/schema.ts';

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema | false;
  readonly prefixItems?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly format?: string;
}

/** The fields of a map, one by one: name (with ? when optional) and what it holds. */
export function fieldsOf(schema: z.ZodType, io: 'input' | 'output'): [name: string, text: string][] {
  const { properties = {}, required = [] } = jsonSchemaOf(schema, io);
  return Object.entries(properties).map(([name, field]) => {
    const value = field.default === undefined ? '' : `; default ${JSON.stringify(field.default)}`;
    return [`${name}${required.includes(name) ? '' : '?'}`, words(field) + value];
  });
}

/** Strings with a grammar of their own, by its pattern; names.ts says which. */
const named = new Map(
  [identifierSchema, taskIdSchema].map((schema, at) => [jsonSchemaOf(schema).pattern, ['identifier', 'UUIDv7'][at]!]),
);

function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output' = 'input'): JsonSchema {
  return z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as JsonSchema;
}

const atMost = (most: number | undefined, unit = ''): string =>
  most === undefined ? '' : ` of at most ${most}${unit}`;

function words(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  const several = schema.anyOf ?? schema.oneOf;
  if (several !== undefined) return several.map(words).join(' | ');
  if (schema.prefixItems !== undefined) return `[${schema.prefixItems.map(words).join(', ')}]`;
  switch (schema.type) {
    case 'object':
      return objectWords(schema);
    case 'array':
      return `[${schema.items === undefined || schema.items === false ? 'any' : words(schema.items)} …]${atMost(schema.maxItems)}`;
    case 'integer':
    case 'number':
      return `${schema.type}${range(schema)}`;
    case 'string':
      return named.get(schema.pattern) ?? `string${atMost(schema.maxLength, ' bytes')}`;
    case undefined:
      return 'any';
    default:
      return schema.type;
  }
}

function objectWords({ properties, required = [], additionalProperties }: JsonSchema): string {
  if (properties === undefined)
    return `{string: ${typeof additionalProperties === 'object' ? words(additionalProperties) : 'any'}}`;
  const fields = Object.entries(properties).map(
    ([name, field]) => `${name}${required.includes(name) ? '' : '?'}: ${words(field)}`,
  );
  return fields.length === 0 ? '{}' : `{${fields.join(', ')}}`;
}

function range({ minimum, maximum }: JsonSchema): string {
  const low = minimum === undefined || minimum <= -Number.MAX_SAFE_INTEGER ? undefined : minimum;
  const high = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? undefined : maximum;
  return low === undefined && high === undefined ? '' : ` ${low ?? ''}…${high ?? ''}`;
}
