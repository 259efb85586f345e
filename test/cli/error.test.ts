import { lstatSync, openSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { commandError, report } from '../../src/cli/error.ts';

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

test.each([false, true])('an error moves no cursor, whatever a collector put into it (json: %s)', (asJson) => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  report({ code: 'handler\u001b]0;PWN\u0007\u009b2J', message: 'm\u001b[2J\u202e', exit: 1 }, asJson);
  const text = write.mock.calls.map(([chunk]) => String(chunk)).join('');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  expect(text).toContain('handler');
});

test.each<[() => unknown, RegExp]>([
  [
    () => lstatSync('/dev/null/store'),
    /^\/dev\/null\/store cannot be used: something on the way to it is not a directory\. /,
  ],
  [() => openSync('/dev/null/..', 'w'), /^\/dev\/null\/\.\. cannot be used: something on the way/],
  [() => openSync('/tmp', 'w'), /^\/tmp cannot be used: illegal operation on a directory\. /],
])('an error of the system that nobody has explained says which file it is of', (fail, said) => {
  let thrown: unknown;
  try {
    fail();
  } catch (error) {
    thrown = error;
  }
  expect(commandError(thrown as Error, 'store verify')).toMatchObject({
    message: expect.stringMatching(said),
    exit: 1,
  });
});
