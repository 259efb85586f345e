/** Where a store lies in a state directory, and its parts in its own directory. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const storeIn = (stateDirectory: string): string => join(stateDirectory, 'store');
export const journalIn = (directory: string): string => join(directory, 'journal');
export const bookIn = (directory: string): string => join(directory, 'book.db');

/** Of a store the directory that it is the store of; itself when it is none's. */
export const stateDirectoryOf = (store: string): string => (storeIn(dirname(store)) === store ? dirname(store) : store);

/** Of a state directory its store; a copy that lies somewhere else is one itself. */
export const storeAt = (directory: string): string => (existsSync(storeIn(directory)) ? storeIn(directory) : directory);
