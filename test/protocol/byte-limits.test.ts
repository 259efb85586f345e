/** Texts on the wire are limited in bytes of UTF-8, not in characters. */
import { expect, test } from 'vitest';
import type { z } from 'zod';
import { heartbeatSchema, registrationSchema } from '../../src/protocol/collector-schema.ts';
import { helloSchema } from '../../src/protocol/hello.ts';
import { methodTable } from '../../src/protocol/message.ts';
import { failureSchema, taskSubmitSchema } from '../../src/protocol/schema.ts';

const id = '01a31800-0000-7000-8000-000000000001';
const submit = (more: object) => ({ operation: 'a', ...more });
const correlation = (more: object) => submit({ correlation: { correlation_id: 'c', ...more } });
const register = (more: object) => ({
  collector_id: 'c',
  collector_type: 't',
  operations: [{ name: 'a' }],
  ...more,
});
const failed = (error: object) => ({ task_id: id, token: 't', error: { code: 'c', message: 'm', ...error } });

const table: [what: string, schema: z.ZodType, bytesMax: number, value: (text: string) => unknown][] = [
  ['name of a hello', helloSchema, 128, (name) => ({ protocol: '1.0', name })],
  ['version of a hello', helloSchema, 64, (version) => ({ protocol: '1.0', name: 'n', version })],
  ['correlation id', taskSubmitSchema, 256, (correlation_id) => correlation({ correlation_id })],
  ['parent id', taskSubmitSchema, 256, (parent_id) => correlation({ parent_id })],
  ['root id', taskSubmitSchema, 256, (root_id) => correlation({ root_id })],
  ['stage', taskSubmitSchema, 128, (stage) => correlation({ stage })],
  ['key of a tag', taskSubmitSchema, 128, (key) => correlation({ tags: { [key]: 'x' } })],
  ['value of a tag', taskSubmitSchema, 1024, (text) => correlation({ tags: { x: text } })],
  ['key of the metadata', taskSubmitSchema, 128, (key) => submit({ metadata: { [key]: 'x' } })],
  ['value of the metadata', taskSubmitSchema, 1024, (text) => submit({ metadata: { x: text } })],
  ['key of a label', taskSubmitSchema, 128, (key) => submit({ labels: { [key]: 'x' } })],
  ['value of a label', taskSubmitSchema, 1024, (text) => submit({ labels: { x: text } })],
  ['version of a collector', registrationSchema, 64, (version) => register({ version })],
  ['hostname of a collector', registrationSchema, 255, (hostname) => register({ hostname })],
  ['label of a collector', registrationSchema, 1024, (text) => register({ labels: { x: text } })],
  ['metadata of a collector', registrationSchema, 1024, (text) => register({ metadata: { x: text } })],
  ['status reason of a collector', registrationSchema, 512, (text) => register({ status_reason: text })],
  ['status reason of a heartbeat', heartbeatSchema, 512, (text) => ({ status_reason: text })],
  ['reason of a cancel', methodTable['task.cancel'].params, 512, (reason) => ({ id, reason })],
  ['reason of a deregister', methodTable['collector.deregister'].params, 512, (reason) => ({ reason })],
  ['code of a failure', failureSchema, 64, (code) => failed({ code })],
  ['message of a failure', failureSchema, 8192, (message) => failed({ message })],
];

test.each(table)('%s: bytes count, whatever the characters', (_what, schema, bytesMax, value) => {
  for (const character of ['x', 'é', '世', '😀']) {
    const width = Buffer.byteLength(character);
    const text = character.repeat(bytesMax / width) + 'x'.repeat(bytesMax % width);
    expect(Buffer.byteLength(text)).toBe(bytesMax);
    expect(schema.safeParse(value(text)).success).toBe(true);
    expect(schema.safeParse(value(`${text}x`)).success).toBe(false);
    // As many characters, and more bytes.
    if (width > 1) expect(schema.safeParse(value(character.repeat(bytesMax / width + 1))).success).toBe(false);
  }
});
