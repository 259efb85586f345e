/** The verdict of `authorise` on everything, written out. */
import { describe, expect, test } from 'vitest';
import { type Access, authorise, type Principal } from '../../src/protocol/access.ts';
import { collectorMethods } from '../../src/protocol/collector-method.ts';
import { type Method, methodTable } from '../../src/protocol/message.ts';
import { type Role, roles } from '../../src/protocol/schema.ts';

const principal = (role: Role, more: Partial<Principal> = {}): Principal => ({
  name: 'p',
  role,
  namespace: 'default',
  peer: { scheme: 'memory', proof: 'process' },
  collectorId: undefined,
  version: '',
  eventDomains: new Set(),
  ...more,
});
const collector = principal('collector', { collectorId: 'own', eventDomains: new Set(['process']) });
const operator = principal('operator');
const observer = principal('observer');
const of = { operator, collector, observer };

/** Who may, as the letters of `operator`, `collector`, `observer` ("obs" is s). */
const letters: Record<Role, string> = { operator: 'o', collector: 'c', observer: 's' };
const verdict = (access: Access, who: Record<Role, Principal> = of): string =>
  roles
    .filter((role) => authorise(who[role], access) === undefined)
    .map((role) => letters[role])
    .join('');

const methods: Record<Method, string> = {
  'topic.subscribe': 'ocs',
  'topic.unsubscribe': 'ocs',
  'broker.health': 'ocs',
  'broker.capabilities': 'ocs',
  'broker.snapshot': 'ocs',
  'broker.shutdown': 'o',
  'broker.log_level': 'o',
  'task.submit': 'oc',
  'task.submit_batch': 'oc',
  'task.list': 'ocs',
  'task.show': 'ocs',
  'task.wait': 'ocs',
  'task.cancel': 'oc',
  'task.complete': 'c',
  'task.fail': 'c',
  'collector.register': 'c',
  'collector.heartbeat': 'c',
  'collector.deregister': 'c',
  'collector.list': 'ocs',
  'collector.show': 'ocs',
  'collector.start': 'o',
  'collector.stop': 'o',
  'routing.show': 'ocs',
  'routing.set': 'o',
  'store.status': 'o',
  'store.backup': 'o',
  'store.compact': 'o',
};

describe('requests', () => {
  test('every method is here', () => expect(Object.keys(methods)).toEqual(Object.keys(methodTable)));
  test.each(Object.entries(methods))('%s: %s', (method, expected) => {
    expect(verdict({ action: 'request', method: method as Method })).toBe(expected);
  });
});

describe('publishes', () => {
  test.each([
    // The broker alone.
    ['control.tasks.t.own', ''],
    ['control.tasks', ''],
    ['control.broker.shutdown', ''],
    ['control.broker', ''],
    ['control.broker.anything.else', ''],
    ['control.collector.registration', ''],
    ['control.collector.registration.own', ''],
    ['control.collector.status', ''],
    ['control.collector.status.own', ''],
    ['control.health.status', ''],
    ['tasks.lifecycle.completed', ''],
    ['tasks.lifecycle', ''],
    // Privileged.
    ['control.collector.lifecycle', 'o'],
    ['control.collector.lifecycle.own', 'o'],
    ['control.collector.config', 'o'],
    ['control.collector.config.other', 'o'],
    ['control.collector.config.own.deeper', 'o'],
    ['control.collector.config.own', 'oc'],
    // Public.
    ['health.me', 'ocs'],
    ['health', 'ocs'],
    ['control.health.me', 'ocs'],
    ['control.health.status.mine', 'ocs'],
    ['events.process.anomaly', 'ocs'],
    ['events.network.anomaly', 'ocs'], // also by a collector without this domain
    // Restricted.
    ['events.process.new', 'oc'],
    ['events.network.new', 'o'],
    ['events.process', 'oc'],
    ['events', 'oc'],
    ['events.process.anomaly.deeper', 'oc'],
    ['control.collector', 'oc'],
    ['control.mine', 'oc'],
    ['tasks.mine', 'oc'],
    ['results.anything', 'oc'],
    ['mine', 'oc'],
    ['mine.control.tasks', 'oc'],
  ])('%s: %s', (topic, expected) => {
    expect(verdict({ action: 'publish', topic })).toBe(expected);
  });

  test('a collector that has registered nothing has no topic of its own', () => {
    const unregistered = { ...of, collector: principal('collector') };
    for (const [topic, expected] of [
      ['control.collector.config.own', 'o'],
      ['events.process.new', 'o'],
      ['events.process.anomaly', 'ocs'],
      ['mine', 'oc'],
    ] as const)
      expect(verdict({ action: 'publish', topic }, unregistered)).toBe(expected);
  });
});

test('everybody may subscribe', () => {
  expect(verdict({ action: 'request', method: 'topic.subscribe' })).toBe('ocs');
});

describe('calls', () => {
  const calls: Record<string, readonly [ofAnother: string, ofItself: string]> = {
    health_check: ['ocs', 'ocs'],
    get_capabilities: ['ocs', 'ocs'],
    start_collection: ['o', 'oc'],
    stop_collection: ['o', 'oc'],
    update_config: ['o', 'oc'],
    shutdown: ['o', 'oc'],
    of_its_own: ['oc', 'oc'],
    constructor: ['oc', 'oc'] as const,
  };
  test('every method of collectors is here', () =>
    expect(Object.keys(calls)).toEqual(expect.arrayContaining(Object.keys(collectorMethods))));
  test.each(Object.entries(calls))('%s: of another collector and of itself: %s', (method, [another, itself]) => {
    expect(verdict({ action: 'call', target: 'other', method })).toBe(another);
    expect(verdict({ action: 'call', target: 'any:work', method })).toBe(another);
    expect(verdict({ action: 'call', target: 'own', method })).toBe(itself);
  });
});

test('a refusal names who may, or the rule', () => {
  expect(authorise(observer, { action: 'request', method: 'task.submit' })).toMatchObject({
    code: 'not_allowed',
    message: expect.stringMatching(/observer may not call task.submit; operator or collector may/),
    context: { method: 'task.submit', roles: ['operator', 'collector'], rule: 'role' },
  });
  expect(authorise(operator, { action: 'publish', topic: 'control.tasks.t.x' })).toMatchObject({
    message: expect.stringMatching(/the broker alone hands out tasks/),
  });
  expect(authorise(collector, { action: 'publish', topic: 'events.network.new' })).toMatchObject({
    message: expect.stringMatching(/has not registered the event domain "network"/),
  });
});

test('a collector publishes the configuration of its own id, not of one that ends like it', () => {
  const b = principal('collector', { collectorId: 'b' });
  const publish = (topic: string) => authorise(b, { action: 'publish', topic })?.code;
  expect(publish('control.collector.config.b')).toBeUndefined();
  for (const id of ['ab', 'a-b', 'a_b', 'ba', 'a'])
    expect(publish(`control.collector.config.${id}`)).toBe('not_allowed');
  expect(publish('control.collector.config.a.b')).toBe('not_allowed');
});
