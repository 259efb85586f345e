/** Which tests load which source: the import graph below each test file. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { at, everyNode, type Node, parse } from './syntax.ts';

/** For each source file, the tests that load it, in the order of `tests`. Paths are relative to `root`. */
export function relatedTests(root: string, tests: readonly string[]): Map<string, string[]> {
  const imports = new Map<string, readonly string[]>();
  const related = new Map<string, string[]>();
  const visit = (file: string, seen: Set<string>): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const next = imports.get(file) ?? importsOf(root, file);
    imports.set(file, next);
    for (const one of next) visit(one, seen);
  };
  for (const test of tests) {
    const seen = new Set<string>();
    visit(test, seen);
    for (const file of seen) related.set(file, [...(related.get(file) ?? []), test]);
  }
  return related;
}

function importsOf(root: string, file: string): string[] {
  let tree: Node;
  try {
    tree = parse(readFileSync(join(root, file), 'utf8'));
  } catch {
    return [];
  }
  return [...everyNode(tree)]
    .filter((node) => node.importKind !== 'type' && node.exportKind !== 'type')
    .map((node) => at(node, 'source')?.value)
    .filter((specifier) => typeof specifier === 'string')
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => join(dirname(file), specifier));
}
