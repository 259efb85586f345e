import { expect, test } from 'vitest';
import { z } from 'zod';
import { Kind } from '../../src/protocol/frame.ts';
import { Hosted } from './hosted.ts';

const schema = z.strictObject({
  interval_ms: z.number().min(10).default(100),
  roots: z.array(z.string()).default(['/']),
  mode: z.enum(['fast', 'broken']).default('fast'),
});

/** A collector that checks its configuration, and can apply every mode but one. */
function configurable(knows = true) {
  let config = schema.parse({});
  const applied: unknown[] = [];
  const definition = {
    configure: (changes: Readonly<Record<string, unknown>>, validateOnly: boolean) => {
      const changed = schema.parse({ ...config, ...changes });
      if (validateOnly) return;
      config = changed;
      applied.push(changes);
      if (changed.mode === 'broken') throw new Error('the mode does not work here');
    },
    ...(knows ? { configuration: () => config } : {}),
  };
  return { definition, applied, current: () => config };
}

test('only fields whose value changed are listed, counted and published', async () => {
  const { definition, current } = configurable();
  await using hosted = new Hosted(definition);
  const peer = await hosted.registered();
  const changes = { interval_ms: 100, roots: ['/', '/home'] };
  expect(await hosted.call(peer, 'update_config', { changes })).toEqual({
    version: 2,
    changed_fields: ['roots'],
    restarted: false,
    validated: true,
  });
  expect(current()).toEqual({ interval_ms: 100, roots: ['/', '/home'], mode: 'fast' });
  const [, sequence, topic, notice] = await peer.kind(Kind.publishConfirmed);
  expect([topic, notice]).toEqual([
    'control.collector.config.c',
    { collector_id: 'c', version: 2, changed_fields: ['roots'], at_ms: expect.any(Number) },
  ]);
  peer.send(Kind.ack, sequence, 0, {
    code: 'not_allowed',
    message: 'no',
    category: 'permission',
    retry: false,
    context: {},
  });
  expect(await hosted.call(peer, 'update_config', { changes })).toMatchObject({ version: 2, changed_fields: [] });
  expect(peer.left).toEqual([]);
});

test('validate_only and an invalid value change nothing and keep the version', async () => {
  const { definition, applied } = configurable();
  await using hosted = new Hosted(definition);
  const peer = await hosted.registered();
  expect(await hosted.call(peer, 'update_config', { changes: { interval_ms: 500 }, validate_only: true })).toEqual({
    version: 1,
    changed_fields: [],
    restarted: false,
    validated: true,
  });
  await expect(
    hosted.call(peer, 'update_config', { changes: { interval_ms: 1, colour: 'red' } }),
  ).rejects.toMatchObject({
    code: 'invalid_params',
    message: expect.stringMatching(/^update_config: interval_ms: [^;]*10; colour: there is no such field$/),
    context: { version: 1 },
  });
  expect(applied).toEqual([]);
});

test('a change that cannot be applied is rolled back, unless that is not wanted', async () => {
  const { definition, applied, current } = configurable();
  await using hosted = new Hosted(definition);
  const peer = await hosted.registered();
  await hosted.call(peer, 'update_config', { changes: { interval_ms: 250 } });
  const changes = { interval_ms: 300, mode: 'broken' };
  await expect(hosted.call(peer, 'update_config', { changes })).rejects.toMatchObject({
    code: 'handler_failed',
    message: expect.stringMatching(/the mode does not work here.*put back/),
    context: { version: 2 },
  });
  const before = { interval_ms: 250, roots: ['/'], mode: 'fast' };
  expect(current()).toEqual(before);
  expect(applied.slice(1)).toEqual([changes, before]);
  await expect(hosted.call(peer, 'update_config', { changes, rollback_on_failure: false })).rejects.toMatchObject({
    code: 'handler_failed',
    context: { version: 3 },
  });
  expect(current()).toMatchObject(changes);
});

test('a collector that does not show its configuration is compared with what it was given', async () => {
  const { definition, applied } = configurable(false);
  await using hosted = new Hosted(definition);
  const peer = await hosted.registered();
  const update = (changes: unknown) => hosted.call(peer, 'update_config', { changes });
  expect(await update({ interval_ms: 250 })).toMatchObject({ version: 2, changed_fields: ['interval_ms'] });
  expect(await update({ interval_ms: 250 })).toMatchObject({ version: 2, changed_fields: [] });
  await expect(update({ mode: 'broken' })).rejects.toMatchObject({ code: 'handler_failed', context: { version: 2 } });
  expect(applied.at(-1)).toEqual({ interval_ms: 250 });
});

test('changes that come at once are applied one after the other', async () => {
  const log: string[] = [];
  let config: Record<string, unknown> = {};
  await using hosted = new Hosted({
    configuration: () => config,
    configure: async (changes, validateOnly) => {
      if (validateOnly) return;
      log.push(`begin ${Object.keys(changes)}`);
      await new Promise((resolve) => setImmediate(resolve));
      config = { ...config, ...changes };
      log.push(`end ${Object.keys(changes)}`);
    },
  });
  const peer = await hosted.registered();
  const updates = ['a', 'b'].map((field) => hosted.call(peer, 'update_config', { changes: { [field]: 1 } }));
  expect(await Promise.all(updates)).toMatchObject([
    { version: 2, changed_fields: ['a'] },
    { version: 3, changed_fields: ['b'] },
  ]);
  expect(log).toEqual(['begin a', 'end a', 'begin b', 'end b']);
});

test('overrides of a start change the configuration like an update', async () => {
  let config: Readonly<Record<string, unknown>> = { interval_ms: 100 };
  await using hosted = new Hosted({
    start: (overrides) => {
      config = { ...config, ...overrides };
    },
    configuration: () => config,
    configure: () => {},
  });
  const peer = await hosted.registered();
  await hosted.call(peer, 'start_collection', { config_overrides: { interval_ms: 7 } });
  expect((await peer.kind(Kind.publishConfirmed))[3]).toMatchObject({ version: 2, changed_fields: ['interval_ms'] });
});
