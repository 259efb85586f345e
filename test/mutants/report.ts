/** What is printed: who survived, a line per file, a line per room. */
import type { Equivalent } from './equivalent.ts';
import type { Verdict } from './job.ts';
import type { Mutant } from './plant.ts';

export interface Judged {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
  readonly equivalent?: Equivalent;
}

export interface Count {
  planted: number;
  killed: number;
  survived: number;
  equivalent: number;
  invalid: number;
}

/** The folder of `src` it is in, such as `core`. */
export const roomOf = (file: string): string => file.split('/').at(1) ?? file;

export function countBy(judged: readonly Judged[], keyOf: (file: string) => string): Map<string, Count> {
  const counts = new Map<string, Count>();
  for (const { mutant, verdict, equivalent } of judged) {
    const key = keyOf(mutant.file);
    const count = counts.get(key) ?? { planted: 0, killed: 0, survived: 0, equivalent: 0, invalid: 0 };
    counts.set(key, count);
    if (verdict.status === 'invalid') count.invalid++;
    else if (verdict.status === 'survived' && equivalent !== undefined) count.equivalent++;
    else {
      count.planted++;
      if (verdict.status === 'killed') count.killed++;
      else count.survived++;
    }
  }
  return counts;
}

/** The share that survives, 0 to 1. */
export const shareOf = ({ planted, survived }: Count): number => (planted === 0 ? 0 : survived / planted);

export function countLine(name: string, count: Count): string {
  const { planted, killed, survived, equivalent, invalid } = count;
  const apart = [
    ...(equivalent > 0 ? [`${equivalent} equivalent`] : []),
    ...(invalid > 0 ? [`${invalid} that do not load or compile`] : []),
  ];
  const share = (100 * shareOf(count)).toFixed(1);
  const rest = apart.length === 0 ? '' : `; apart: ${apart.join(', ')}`;
  return `${name}: ${planted} planted, ${killed} killed, ${survived} survived (${share} %)${rest}`;
}

function survivorLines({ mutant, equivalent }: Judged): string {
  const { file, line, mutator, before, after } = mutant;
  const reason = equivalent === undefined ? '' : `\n  = ${equivalent.reason}`;
  return `${file}:${line} ${mutator}\n  - ${before}\n  + ${after}${reason}`;
}

export function print(judged: readonly Judged[]): void {
  const survivors = judged.filter(({ verdict }) => verdict.status === 'survived');
  const [known, unknown] = [true, false].map((is) =>
    survivors.filter(({ equivalent }) => (equivalent !== undefined) === is),
  );
  for (const one of unknown!) console.log(survivorLines(one));
  if (known!.length > 0) console.log('\nEquivalent:');
  for (const one of known!) console.log(survivorLines(one));
  console.log();
  for (const [file, count] of countBy(judged, (file) => file)) console.log(countLine(file, count));
  console.log();
  for (const [room, count] of countBy(judged, roomOf)) console.log(countLine(room, count));
  for (const [all, count] of countBy(judged, () => 'all')) console.log(countLine(all, count));
  const hung = judged.filter(({ verdict }) => verdict.status === 'killed' && verdict.by === 'the time limit').length;
  if (hung > 0) console.log(`${hung} of the killed hung.`);
}
