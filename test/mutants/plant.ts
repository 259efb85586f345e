/** All mutants of a source: one edit each, that still is a module. */
import { type Edit, isComparison, mutators } from './mutators.ts';
import { parse, parses, walk } from './syntax.ts';
import { type Unions, unionsOf } from './unions.ts';

export interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly mutator: string;
  /** The code of the lines it touches, without and with the mutant, on one line each. */
  readonly before: string;
  readonly after: string;
  /** The whole source with the mutant in it. */
  readonly text: string;
}

/** `elsewhere` holds the unions of other sources; those of this one come first. */
export function plant(file: string, source: string, elsewhere: Unions = []): Mutant[] {
  const tree = parse(source);
  const unions = [...unionsOf(tree), ...elsewhere];
  const mutants = new Map<string, Mutant>();
  walk(tree, (node, parents) => {
    if (parents.some((parent, at) => isComparison(parent, parents.slice(at + 1)))) return;
    for (const [mutator, editsOf] of Object.entries(mutators))
      for (const edit of editsOf({ node, parents, source, unions })) {
        const text = source.slice(0, edit.start) + edit.text + source.slice(edit.end);
        if (text === source || mutants.has(text) || !parses(text)) continue;
        mutants.set(text, { file, mutator, text, ...linesOf(source, edit) });
      }
  });
  return [...mutants.values()].sort((a, b) => a.line - b.line);
}

function linesOf(source: string, edit: Edit): Pick<Mutant, 'line' | 'before' | 'after'> {
  const start = source.lastIndexOf('\n', edit.start - 1) + 1;
  const newline = source.indexOf('\n', edit.end);
  const end = newline === -1 ? source.length : newline;
  return {
    line: source.slice(0, edit.start).split('\n').length,
    before: oneLine(source.slice(start, end)),
    after: oneLine(source.slice(start, edit.start) + edit.text + source.slice(edit.end, end)),
  };
}

const oneLine = (code: string): string => code.replace(/\s+/g, ' ').trim();
