import { afterEach, expect, test, vi } from 'vitest';
import { report } from '../../src/cli/error.ts';

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
