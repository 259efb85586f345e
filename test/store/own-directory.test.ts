/** The directories of a store are private, are no links, and their names are synced before anything is written in them. */
import { mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { prepareDirectory } from '../../src/store/own-directory.ts';
import { Scratch } from './fixture.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

/** Makes it; answers what was synced, in order. */
function synced(directory: string): string[] {
  const paths: string[] = [];
  prepareDirectory(directory, (path) => paths.push(path));
  return paths;
}

test('one that is made is synced in its parent, as is every one above it that was made', () => {
  const root = scratch.path();
  mkdirSync(root);
  const directory = join(root, 'a', 'b', 'store');
  expect(synced(directory)).toEqual([join(root, 'a', 'b'), join(root, 'a'), root]);
  for (const made of [directory, join(root, 'a')]) expect(statSync(made).mode & 0o077).toBe(0);
});

test('one that is there is synced again: who made it may have been killed before', () => {
  const directory = scratch.path();
  mkdirSync(directory);
  expect(synced(directory)).toEqual([join(directory, '..')]);
});

test('one whose name cannot be synced is refused', () => {
  const directory = scratch.path();
  const fails = (): void => {
    throw new Error('EIO: i/o error, fsync');
  };
  expect(() => prepareDirectory(directory, fails)).toThrow(/cannot be made: EIO.*Name another/);
});

test('one that lies where we may not look is taken as it is', () => {
  const directory = scratch.path();
  mkdirSync(directory);
  const refused = (): void => {
    throw Object.assign(new Error('permission denied'), { code: 'EACCES' });
  };
  expect(() => prepareDirectory(directory, refused)).not.toThrow();
});

test('a link is refused, and nothing is synced', () => {
  const directory = scratch.path();
  symlinkSync(scratch.path(), directory);
  expect(() => synced(directory)).toThrow(/is a symbolic link/);
});
