/** The syntax tree of a TypeScript text, without its types: what stands in a type position cannot change a run. */
import { parseAst } from 'vitest/node';

/** An ESTree node. Offsets count UTF-16 units, as strings do. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** Throws when the text is not a module. */
export const parse = (text: string): Node => parseAst(text, { lang: 'ts' }) as unknown as Node;

export function parses(text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** The node under `key`, if there is one. */
export function at(node: Node | undefined, key: string): Node | undefined {
  const value = node?.[key];
  return isNode(value) ? value : undefined;
}

/** The nodes of the list under `key`. */
export function all(node: Node | undefined, key: string): Node[] {
  const value = node?.[key];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export const children = (node: Node): Node[] =>
  Object.values(node).flatMap((value) => (Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []));

/** Every node, types included, parents first. */
export function* everyNode(node: Node): Generator<Node> {
  yield node;
  for (const child of children(node)) yield* everyNode(child);
}

/** Expressions that carry a type: `x as T`, `x!`, `x satisfies T`. */
const typed = new Set(['TSAsExpression', 'TSNonNullExpression', 'TSSatisfiesExpression']);

/** The expression without `as`, `!` and `satisfies`. */
export function bare(node: Node | undefined): Node | undefined {
  let inner = node;
  while (inner !== undefined && typed.has(inner.type)) inner = at(inner, 'expression');
  return inner;
}

/** Whether nothing below it runs, or whether it only names modules. */
const isStatic = (node: Node): boolean =>
  (node.type.startsWith('TS') && !typed.has(node.type)) ||
  node.type === 'ImportDeclaration' ||
  node.type === 'ExportAllDeclaration' ||
  (node.type === 'ExportNamedDeclaration' && isNode(node.source)) ||
  node.declare === true;

/** Calls that only watch or tell: assertions and logs. */
const watching = new Set(['assert', 'console', 'log', 'logger']);

export function isWatching(node: Node): boolean {
  if (node.type !== 'CallExpression') return false;
  const callee = at(node, 'callee');
  const owner = callee?.type === 'MemberExpression' ? at(callee, 'object') : callee;
  return owner?.type === 'Identifier' && watching.has(owner.name as string);
}

/** Whether it is a text for people: a string or template with a word and a space, or a choice between such. */
export function isProse(node: Node | undefined): boolean {
  if (node === undefined) return false;
  if (node.type === 'Literal') return typeof node.value === 'string' && readsAsProse(node.value);
  if (node.type === 'TemplateLiteral')
    return all(node, 'quasis').some((quasi) => readsAsProse((quasi.value as { raw: string }).raw));
  if (node.type === 'ConditionalExpression') return isProse(at(node, 'consequent')) && isProse(at(node, 'alternate'));
  return node.type === 'BinaryExpression' && (isProse(at(node, 'left')) || isProse(at(node, 'right')));
}

const readsAsProse = (text: string): boolean => / /.test(text) && /\p{L}{2,}/u.test(text);

/** Visits what runs, parents first; `parents` starts with the nearest. */
export function walk(node: Node, visit: (node: Node, parents: readonly Node[]) => void): void {
  const step = (one: Node, parents: readonly Node[]): void => {
    if (isStatic(one) || isWatching(one) || isProse(one)) return;
    visit(one, parents);
    for (const child of children(one)) step(child, [one, ...parents]);
  };
  step(node, []);
}
