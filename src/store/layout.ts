/** Where a store lies in a state directory, and its parts in its own directory. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export const storeIn = (stateDirectory: string): string => join(stateDirectory, 'store');
/** The other way: a store that lies somewhere else is itself what is named to a command. */
export const stateDirectoryOf = (store: string): string => (basename(store) === 'store' ? dirname(store) : store);
export const journalIn = (directory: string): string => join(directory, 'journal');
export const bookIn = (directory: string): string => join(directory, 'book.db');

/** Of a state directory its store; a copy that lies somewhere else is one itself. */
export const storeAt = (directory: string): string => (existsSync(storeIn(directory)) ? storeIn(directory) : directory);
