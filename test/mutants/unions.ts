/**
 * The unions of string literals that a source declares: `'a' | 'b'`, the tags of a tagged union, `['a', 'b'] as const`,
 * an `enum([...])` of a schema and the keys of a table `as const`. A literal of one may be swapped with another.
 */
import { all, at, bare, everyNode, type Node } from './syntax.ts';

export type Unions = readonly (readonly string[])[];

export function unionsOf(tree: Node): Unions {
  const found: string[][] = [];
  const keep = (values: readonly (string | undefined)[]): void => {
    const strings = [...new Set(values)];
    if (strings.length > 1 && strings.every((value) => value !== undefined)) found.push(strings);
  };
  for (const node of everyNode(tree)) {
    if (node.type === 'TSUnionType') {
      const members = all(node, 'types');
      keep(members.filter(({ type }) => type === 'TSLiteralType').map((member) => text(at(member, 'literal'))));
      for (const values of tagsOf(members).values()) keep(values);
    } else if (node.type === 'TSAsExpression' && isConst(node)) {
      const value = bare(node);
      if (value?.type === 'ArrayExpression') keep(all(value, 'elements').map(text));
      if (value?.type === 'ObjectExpression') keep(all(value, 'properties').map((property) => keyOf(property)));
    } else if (node.type === 'CallExpression' && keyOf(at(node, 'callee'), 'property') === 'enum') {
      const [list] = all(node, 'arguments');
      if (list?.type === 'ArrayExpression') keep(all(list, 'elements').map(text));
    }
  }
  return found;
}

/** The literal that stands in for `value`: the next one of the first union that has it. */
export function sibling(unions: Unions, value: string): string | undefined {
  const union = unions.find((one) => one.includes(value));
  return union?.[(union.indexOf(value) + 1) % union.length];
}

/** By property, the string literals it has among the members of a union of object types. */
function tagsOf(members: readonly Node[]): Map<string, string[]> {
  const tags = new Map<string, string[]>();
  for (const member of members)
    for (const property of all(member, 'members')) {
      const key = keyOf(property);
      const value = text(at(at(at(property, 'typeAnnotation'), 'typeAnnotation'), 'literal'));
      if (key !== undefined && value !== undefined) tags.set(key, [...(tags.get(key) ?? []), value]);
    }
  return tags;
}

const isConst = (node: Node): boolean => at(at(node, 'typeAnnotation'), 'typeName')?.name === 'const';

const text = (node: Node | undefined): string | undefined =>
  node?.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined;

function keyOf(node: Node | undefined, name = 'key'): string | undefined {
  const key = at(node, name);
  return key?.type === 'Identifier' ? (key.name as string) : text(key);
}
