import { expect, test } from 'vitest';
import { ExcludeMeError, failureOf, NonRetryableError, RetryAfterError } from '../../src/collector/error.ts';
import { failureSchema } from '../../src/protocol/schema.ts';
import { leaseOf } from './hosted.ts';

test.each<[string, unknown, object]>([
  ['an error', new TypeError('no'), { error: { code: 'TypeError', message: 'no' }, next: 'retry' }],
  ['one with a code', Object.assign(new Error('no'), { code: 'ENOENT' }), { error: { code: 'ENOENT' } }],
  ['one with a number for a code', Object.assign(new Error('no'), { code: 7 }), { error: { code: 'Error' } }],
  ['no error at all', 'no', { error: { code: 'Error', message: 'no' } }],
  ['a long text of wide characters', new Error('é'.repeat(9000)), { error: { message: 'é'.repeat(4096) } }],
  ['half a character at the limit', new Error(`x${'é'.repeat(9000)}`), { error: { message: `x${'é'.repeat(4095)}` } }],
  ['a long code', Object.assign(new Error('no'), { code: '名'.repeat(50) }), { error: { code: '名'.repeat(21) } }],
  ['NonRetryableError', new NonRetryableError('no'), { next: 'give_up' }],
  ['ExcludeMeError', new ExcludeMeError('no'), { next: 'elsewhere' }],
  ['RetryAfterError', new RetryAfterError(10.6, 'no'), { next: 'retry', retry_after_ms: 11 }],
  ['RetryAfterError of the past', new RetryAfterError(-1, 'no'), { retry_after_ms: 0 }],
  ['RetryAfterError of nothing', new RetryAfterError(Number.NaN, 'no'), { retry_after_ms: 0 }],
  ['RetryAfterError of ever', new RetryAfterError(Infinity, 'no'), { retry_after_ms: 366 * 24 * 3_600_000 }],
])('%s is a failure that the broker takes', (_, thrown, expected) => {
  const failure = failureOf(thrown);
  expect(failure).toMatchObject(expected);
  failureSchema.parse({ ...leaseOf(1), ...failure });
});
