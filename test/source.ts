/** The source files as tests look at them: parsed, not searched. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'vitest/node';

export const root = fileURLToPath(new URL('..', import.meta.url));
export const read = (file: string): string => readFileSync(join(root, file), 'utf8');

export const filesIn = (directory: string): string[] =>
  readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .map((file) => join(directory, file))
    .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts') && statSync(join(root, file)).isFile())
    .sort();

interface Import {
  readonly specifier: string;
  /** The file of this tree that it means; undefined for a package. */
  readonly file: string | undefined;
  readonly typeOnly: boolean;
}

export interface Source {
  readonly file: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** Names that it declares and exports, and those among them of types, interfaces and classes. */
  readonly exports: readonly string[];
  readonly exportedTypes: readonly string[];
  /** Every identifier, also of members and keys. */
  readonly identifiers: ReadonlySet<string>;
  /** Identifiers that stand by themselves: variables, globals. */
  readonly references: ReadonlySet<string>;
  /** `Math.random` and the like: a variable and its member. */
  readonly members: ReadonlySet<string>;
  readonly awaits: boolean;
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';

/** What a declaration declares; of `const { a } = b` nothing, since no module exports that way. */
function declaredNames(declaration: Node): string[] {
  const declared = Array.isArray(declaration.declarations) ? declaration.declarations : [declaration];
  return declared.flatMap(({ id }) => (isNode(id) && id.type === 'Identifier' ? [String(id.name)] : []));
}

export function source(file: string): Source {
  const text = read(file);
  const imports: Import[] = [];
  const exports: string[] = [];
  const exportedTypes: string[] = [];
  const identifiers = new Set<string>();
  const references = new Set<string>();
  const members = new Set<string>();
  let awaits = false;

  const add = (from: unknown, typeOnly: boolean): void => {
    if (!isNode(from) || typeof from.value !== 'string') return;
    const specifier = from.value;
    const target = specifier.startsWith('.') ? relative(root, join(root, dirname(file), specifier)) : undefined;
    imports.push({ specifier, file: target, typeOnly });
  };
  const visit = (node: Node, parent: Node | undefined): void => {
    if (node.type === 'ImportDeclaration' || node.type === 'ExportAllDeclaration')
      add(node.source, node.importKind === 'type' || node.exportKind === 'type');
    if (node.type === 'ExportNamedDeclaration') {
      add(node.source, node.exportKind === 'type');
      const names = isNode(node.declaration) ? declaredNames(node.declaration) : [];
      exports.push(...names);
      if (isNode(node.declaration) && /^(TSTypeAlias|TSInterface|Class|TSEnum)Declaration$/.test(node.declaration.type))
        exportedTypes.push(...names);
    }
    if (node.type === 'ImportExpression') add(node.source, false);
    if (node.type === 'AwaitExpression' || node.async === true) awaits = true;
    if (node.type === 'MemberExpression' && isNode(node.object) && isNode(node.property))
      members.add(`${String(node.object.name)}.${String(node.property.name)}`);
    if (node.type === 'Identifier' || node.type === 'PrivateIdentifier') {
      const name = String(node.name);
      identifiers.add(name);
      const isMember =
        parent !== undefined && parent.computed !== true && (parent.property === node || parent.key === node);
      if (!isMember) references.add(name);
    }
    for (const value of Object.values(node))
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, node);
  };
  visit(parseAst(text, { lang: file.endsWith('x') ? 'tsx' : 'ts' }) as unknown as Node, undefined);
  return {
    file,
    lines: text.trimEnd().split('\n').length,
    imports,
    exports,
    exportedTypes,
    identifiers,
    references,
    members,
    awaits,
  };
}

/** Files that `from` reaches by imports that exist at run time, itself included. */
export function reached(from: readonly string[], sources: ReadonlyMap<string, Source>): Set<string> {
  const seen = new Set<string>();
  const queue = [...from];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { file: target, typeOnly } of sources.get(file)?.imports ?? [])
      if (target !== undefined && !typeOnly) queue.push(target);
  }
  return seen;
}

/** The first cycle of run-time imports that is found, as a path that ends where it began. */
export function importCycle(sources: ReadonlyMap<string, Source>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const walk = (file: string): string[] | undefined => {
    const at = path.indexOf(file);
    if (at !== -1) return [...path.slice(at), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const { file: target, typeOnly } of sources.get(file)?.imports ?? []) {
      const cycle = target === undefined || typeOnly ? undefined : walk(target);
      if (cycle !== undefined) return cycle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of sources.keys()) {
    const cycle = walk(file);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
