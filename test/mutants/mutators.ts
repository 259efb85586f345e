/** The mutators: each says, for one node, which small edits plant a plausible mistake there. */
import { all, at, bare, everyNode, isProse, isWatching, type Node } from './syntax.ts';
import { sibling, type Unions } from './unions.ts';

export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface MutantPlace {
  readonly node: Node;
  /** The nearest first. */
  readonly parents: readonly Node[];
  readonly source: string;
  readonly unions: Unions;
}

type Mutator = (place: MutantPlace) => readonly Edit[];

const operators: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
  '+=': ['-='],
  '-=': ['+='],
  '*=': ['/='],
  '/=': ['*='],
  '&&': ['||'],
  '||': ['&&'],
  '&&=': ['||='],
  '||=': ['&&='],
  '??=': ['='],
};

const methods: Readonly<Record<string, string>> = {
  some: 'every',
  every: 'some',
  push: 'unshift',
  unshift: 'push',
  pop: 'shift',
  shift: 'pop',
  find: 'findLast',
  findLast: 'find',
  indexOf: 'lastIndexOf',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  min: 'max',
  max: 'min',
  floor: 'ceil',
  ceil: 'floor',
};

const sorting = new Set(['sort', 'toSorted']);
const simple = new Set(['Identifier', 'Literal', 'MemberExpression', 'CallExpression']);
const jumps = new Set(['ContinueStatement', 'BreakStatement']);
const functions = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const effects = new Set(['CallExpression', 'AssignmentExpression', 'UpdateExpression']);

const replaced = (node: Node | undefined, text: string): Edit[] =>
  node === undefined ? [] : [{ start: node.start, end: node.end, text }];

/** The source of an expression, fit to stand where another stood. */
function standIn(source: string, node: Node | undefined): string {
  if (node === undefined) return '';
  const text = source.slice(node.start, node.end);
  return simple.has(node.type) ? text : `(${text})`;
}

const isStringLike = (node: Node | undefined): boolean =>
  node?.type === 'TemplateLiteral' || (node?.type === 'Literal' && typeof node.value === 'string');

const methodOf = (node: Node): Node | undefined => {
  const callee = node.type === 'CallExpression' ? at(node, 'callee') : undefined;
  return callee?.type === 'MemberExpression' && callee.computed !== true ? at(callee, 'property') : undefined;
};

/** Whether the node is the last statement of a function's own body. */
const isLast = (node: Node, parents: readonly Node[]): boolean =>
  parents[0]?.type === 'BlockStatement' &&
  functions.has(parents[1]?.type ?? '') &&
  all(parents[0], 'body').at(-1) === node;

/** Whether the function itself, not one inside it, returns a value. */
function returnsValue(body: Node): boolean {
  const inner = [...everyNode(body)].filter(({ type }) => functions.has(type));
  return [...everyNode(body)].some(
    (node) =>
      node.type === 'ReturnStatement' &&
      at(node, 'argument') !== undefined &&
      !inner.some(({ start, end }) => start <= node.start && node.end <= end),
  );
}

/** Whether it is the comparison that a sort asks: of two things that differ, only the sign of its answer matters. */
export const isComparison = (node: Node, parents: readonly Node[]): boolean =>
  functions.has(node.type) && parents[0] !== undefined && sorting.has(methodOf(parents[0])?.name as string);

export const mutators: Readonly<Record<string, Mutator>> = {
  operator: ({ node, source }) => {
    const left = at(node, 'left');
    const right = at(node, 'right');
    if (left === undefined || right === undefined || typeof node.operator !== 'string') return [];
    if (node.operator === '+' && (isStringLike(left) || isStringLike(right))) return [];
    const start = source.indexOf(node.operator, left.end);
    const end = start + node.operator.length;
    if (start === -1 || end > right.start) return [];
    return (operators[node.operator] ?? []).map((text) => ({ start, end, text }));
  },

  update: ({ node, parents, source }) => {
    if (node.type !== 'UpdateExpression' || parents[0]?.type === 'ForStatement') return [];
    const text = source.slice(node.start, node.end);
    return replaced(
      node,
      text.replace(/\+\+|--/, (sign) => (sign === '++' ? '--' : '++')),
    );
  },

  negation: ({ node, source }) =>
    node.type === 'UnaryExpression' && node.operator === '!'
      ? replaced(node, standIn(source, at(node, 'argument')))
      : [],

  boolean: ({ node }) =>
    node.type === 'Literal' && typeof node.value === 'boolean' ? replaced(node, String(!node.value)) : [],

  number: ({ node, parents }) => {
    if (node.type !== 'Literal' || typeof node.value !== 'number' || isKey(node, parents)) return [];
    return [node.value + 1, node.value - 1].flatMap((value) => replaced(node, String(value)));
  },

  condition: ({ node }) => {
    const test = at(node, 'test');
    if (test === undefined || test.type === 'Literal') return [];
    if (node.type === 'WhileStatement') return replaced(test, 'false');
    if (node.type !== 'IfStatement' && node.type !== 'ConditionalExpression') return [];
    return [...replaced(test, 'true'), ...replaced(test, 'false')];
  },

  nullish: ({ node, source }) =>
    node.type === 'LogicalExpression' && node.operator === '??'
      ? [...replaced(node, standIn(source, at(node, 'left'))), ...replaced(node, standIn(source, at(node, 'right')))]
      : [],

  method: ({ node }) => {
    const method = methodOf(node);
    const other = Object.entries(methods).find(([name]) => name === method?.name)?.[1];
    return other === undefined ? [] : replaced(method, other);
  },

  filter: ({ node, source }) =>
    methodOf(node)?.name === 'filter' ? replaced(node, standIn(source, at(at(node, 'callee'), 'object'))) : [],

  order: ({ node, source }) => {
    const [compare] = all(node, 'arguments');
    if (!sorting.has(methodOf(node)?.name as string) || compare === undefined) return [];
    const [first, second] = all(compare, 'params');
    if (first === undefined || second === undefined) return [];
    const text = (one: Node): string => source.slice(one.start, one.end);
    return [{ start: first.start, end: second.end, text: `${text(second)}, ${text(first)}` }];
  },

  statement: ({ node }) => {
    if (node.type === 'ThrowStatement') return replaced(node, ';');
    if (node.type !== 'ExpressionStatement') return [];
    let expression = bare(at(node, 'expression'));
    if (expression?.type === 'ChainExpression') expression = at(expression, 'expression');
    if (expression === undefined || isWatching(expression) || at(expression, 'callee')?.type === 'Super') return [];
    const removable =
      effects.has(expression.type) || expression.type === 'AwaitExpression' || expression.operator === 'delete';
    return removable ? replaced(node, ';') : [];
  },

  jump: ({ node }) => (jumps.has(node.type) ? replaced(node, ';') : []),

  return: ({ node, parents }) => {
    if (node.type === 'ReturnStatement') return isLast(node, parents) ? [] : replaced(node, ';');
    const body = at(node, 'body');
    if (!functions.has(node.type) || body?.type !== 'BlockStatement' || parents[0]?.kind === 'constructor') return [];
    if (all(body, 'body').length === 0 || returnsValue(body)) return [];
    return [{ start: body.start, end: body.start + 1, text: '{ return;' }];
  },

  literal: ({ node, parents, unions }) => {
    if (node.type !== 'Literal' || typeof node.value !== 'string' || isKey(node, parents)) return [];
    if (at(parents[0], 'left')?.operator === 'typeof') return [];
    const other = sibling(unions, node.value);
    return other === undefined ? [] : replaced(node, `'${other}'`);
  },

  property: ({ node, parents, source }) => {
    if (node.type !== 'Property' || parents[0]?.type !== 'ObjectExpression') return [];
    const value = bare(at(node, 'value'));
    if (value?.name === 'undefined' || isProse(value)) return [];
    const comma = /^\s*,/.exec(source.slice(node.end))?.[0] ?? '';
    return [{ start: node.start, end: node.end + comma.length, text: '' }];
  },
};

const isKey = (node: Node, parents: readonly Node[]): boolean => at(parents[0], 'key') === node;
