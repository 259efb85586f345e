/** What a start would refuse, without a start. */
import { JournalError } from '../journal/port.ts';
import { type Run, recoverRun } from '../journal/recovery.ts';
import { explainPart } from './journal-error.ts';
import type { Parts } from './parts.ts';

/** @param manifest the batch up to which a backup says that it goes. Throws a JournalError or a BookError. */
export function refuseDamaged(directory: string, { survey, position, bookError }: Parts, manifest?: number): Run {
  if (bookError !== undefined) throw bookError;
  const storeId = Buffer.from(survey.storeId).toString('hex');
  if (position !== undefined && position.storeId !== storeId)
    throw new JournalError(
      'journal_foreign',
      `The journal in ${directory} is of store ${storeId} and the book beside it of store ${position.storeId}. ` +
        'Put back the book that belongs to it, or restore a backup of both.',
    );
  return recoverRun(survey.segments, { book: position ?? { sequence: 0, crc: 0 }, manifest });
}

/** The same for a command that needs a sound store: throws a StoreError that says what to do. */
export function soundRun(directory: string, parts: Parts): Run {
  try {
    return refuseDamaged(directory, parts);
  } catch (error) {
    throw explainPart(error as Error, directory);
  }
}
