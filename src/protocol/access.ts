/**
 * Who may do what: one function, `authorise`, and the tables it reads. A principal is what a session acts as; a request
 * may later run as another one than its session's (a gateway acts for many), which is why nothing else looks at roles.
 */

import { type CollectorMethod, collectorMethods } from './collector-method.ts';
import { type Fault, fault } from './fault.ts';
import { type Method, methodTable } from './message.ts';
import type { Role } from './schema.ts';
import { topicMatches } from './topic.ts';

export interface Principal {
  /** How the client calls itself, and its version; for messages and logs. */
  readonly name: string;
  readonly version: string;
  readonly role: Role;
  readonly namespace: string;
  /** The transport it came by, and why that takes it for a program of the same user. */
  readonly peer: { readonly scheme: string; readonly proof: string };
  /** Once it has registered: its id, and the domains of `events.` that it publishes in. */
  readonly collectorId: string | undefined;
  readonly eventDomains: ReadonlySet<string>;
}

export type Access =
  | { readonly action: 'request'; readonly method: Method }
  | { readonly action: 'call'; readonly target: string; readonly method: string }
  | { readonly action: 'publish'; readonly topic: string };

interface TopicRule {
  /** What a refusal names. */
  readonly name: string;
  readonly pattern: string;
  readonly publish: readonly Role[];
  /** The pattern ends in a collector's id, and that collector may publish there too. */
  readonly own?: true;
  /** On `events.DOMAIN` a collector publishes by this rule only when it has registered the domain. */
  readonly domains?: true;
}

/** Who may publish; the first rule that matches decides. Every session may subscribe to everything. */
export const accessRules: readonly TopicRule[] = [
  { name: 'privileged control.collector.lifecycle', pattern: 'control.collector.lifecycle.#', publish: ['operator'] },
  {
    name: 'privileged control.collector.config',
    pattern: 'control.collector.config.*',
    publish: ['operator'],
    own: true,
  },
  { name: 'privileged control.collector.config', pattern: 'control.collector.config.#', publish: ['operator'] },
  { name: 'the broker alone reports collectors', pattern: 'control.collector.registration.#', publish: [] },
  { name: 'the broker alone reports collectors', pattern: 'control.collector.status.#', publish: [] },
  { name: 'only the broker publishes its own events', pattern: 'control.broker.#', publish: [] },
  { name: 'the broker alone hands out tasks', pattern: 'control.tasks.#', publish: [] },
  { name: 'the broker alone reports the lives of tasks', pattern: 'tasks.lifecycle.#', publish: [] },
  { name: 'the broker alone reports its status', pattern: 'control.health.status', publish: [] },
  { name: 'public health', pattern: 'health.#', publish: ['operator', 'collector', 'observer'] },
  { name: 'public control.health', pattern: 'control.health.#', publish: ['operator', 'collector', 'observer'] },
  { name: 'public anomalies', pattern: 'events.*.anomaly', publish: ['operator', 'collector', 'observer'] },
  { name: 'restricted', pattern: '#', publish: ['operator', 'collector'], domains: true },
];

/** The methods of a collector that an observer may call. */
const lookingMethods: ReadonlySet<string> = new Set<CollectorMethod>(['health_check', 'get_capabilities']);

/** `undefined` when the principal may, else the fault that names the rule. */
export function authorise(principal: Principal, access: Access): Fault<'not_allowed'> | undefined {
  const { role } = principal;
  switch (access.action) {
    case 'request': {
      const { roles } = methodTable[access.method];
      return (roles as readonly Role[]).includes(role)
        ? undefined
        : deny(`A session in the role ${role} may not call ${access.method}; ${roles.join(' or ')} may.`, 'role', {
            method: access.method,
            roles,
          });
    }
    case 'call':
      return callDenial(principal, access.target, access.method);
    case 'publish':
      return publishDenial(principal, access.topic);
  }
}

function callDenial(
  { role, collectorId }: Principal,
  target: string,
  method: string,
): Fault<'not_allowed'> | undefined {
  const looks = lookingMethods.has(method);
  if (role === 'observer' && !looks)
    return deny(`A session in the role observer may not call ${method.slice(0, 80)}.`, 'role', { method });
  // A collector may call what others offer beside the common methods, but not manage them.
  const manages = !looks && Object.hasOwn(collectorMethods, method);
  return role === 'collector' && manages && target !== collectorId
    ? deny(`A collector may not call ${method} of another collector; an operator may.`, 'role', { method, target })
    : undefined;
}

function publishDenial(
  { role, collectorId, eventDomains }: Principal,
  topic: string,
): Fault<'not_allowed'> | undefined {
  const rule = accessRules.find(({ pattern }) => topicMatches(pattern, topic))!;
  const isOwn = rule.own === true && collectorId !== undefined && topic.endsWith(`.${collectorId}`);
  if (!rule.publish.includes(role) && !isOwn)
    return deny(`A session in the role ${role} may not publish on ${topic}: ${rule.name}.`, rule.name, { topic });
  const domain = rule.domains === true ? eventDomain(topic) : undefined;
  return role === 'collector' && domain !== undefined && !eventDomains.has(domain)
    ? deny(
        `This collector has not registered the event domain "${domain}", so it may not publish on ${topic}.`,
        'event domain',
        { topic },
      )
    : undefined;
}

const deny = (message: string, rule: string, context: Record<string, unknown>): Fault<'not_allowed'> =>
  fault('not_allowed', message, { ...context, rule });

/** The domain of an `events.` topic ("process" of `events.process.new`). */
const eventDomain = (topic: string): string | undefined =>
  topic.startsWith('events.') ? topic.split('.')[1] : undefined;
