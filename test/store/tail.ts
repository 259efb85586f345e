/** Where the journal of a store at rest ends. */
import { fileDisk } from '../../src/journal/file-disk.ts';
import { blockBytes } from '../../src/journal/header.ts';
import { findRun } from '../../src/journal/recovery.ts';
import { surveyJournal } from '../../src/journal/survey.ts';
import { journalIn } from '../../src/store/layout.ts';

interface Tail {
  /** How many there are, prepared ones, too. */
  readonly segments: number;
  /** The segment in which the next batch belongs, and the byte. */
  readonly segment: number;
  readonly byte: number;
  /** The last batch. */
  readonly sequence: number;
}

export async function endOfRun(directory: string): Promise<Tail> {
  await using survey = await surveyJournal(fileDisk(journalIn(directory), { readOnly: true }));
  const { run } = findRun(survey!.segments);
  return {
    segments: survey!.segments.length,
    segment: run.segment,
    byte: run.block * blockBytes,
    sequence: run.sequence,
  };
}
