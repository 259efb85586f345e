/**
 * Where a topic leads: the subscribers, and who may publish to it. Built once per topic and kept until a subscription
 * changes. Looked up straight from the bytes of a frame: a small table, direct-mapped by a hash of the topic's bytes,
 * stands before the map, so that the hot path makes no string.
 */
import type { Fault } from '../protocol/fault.ts';
import { type Role, roles } from '../protocol/schema.ts';
import { eventDomain, publishRefusal, refuseTopic } from '../protocol/topic.ts';
import type { Subscriber, SubscriptionTrie } from './subscription.ts';

export interface Route {
  readonly topic: string;
  readonly topicBytes: Buffer;
  /** Set when the topic breaks the grammar; nothing is ever delivered then. */
  readonly broken: Fault | undefined;
  /** For each role, the rule that forbids it to publish here, if one does. */
  readonly refusals: Readonly<Record<Role, string | undefined>>;
  readonly domain: string | undefined;
  subscribers: readonly Subscriber[];
  generation: number;
  published: number;
  dropped: number;
}

const tableSize = 1024;
const routesMax = 10_000;

export class RouteCache {
  readonly #trie: SubscriptionTrie;
  readonly #routes = new Map<string, Route>();
  readonly #table: (Route | undefined)[] = new Array<Route | undefined>(tableSize).fill(undefined);
  #generation = 0;

  constructor(trie: SubscriptionTrie) {
    this.#trie = trie;
  }

  /** A subscription changed: every route is looked up anew when it is next used. */
  invalidate(): void {
    this.#generation++;
  }

  /** The route of the topic whose characters are `bytes[start, end)`. */
  at(bytes: Buffer, start: number, end: number): Route {
    // The last bytes of a topic differ most often.
    const slot =
      ((end - start) * 31 + bytes[end - 1]! * 7 + (bytes[end - 2] ?? 0) * 131 + (bytes[start] ?? 0)) & (tableSize - 1);
    const known = this.#table[slot];
    const route =
      known !== undefined && sameBytes(known.topicBytes, bytes, start, end)
        ? known
        : this.of(bytes.latin1Slice(start, end));
    if (route !== known) this.#table[slot] = route;
    if (route.generation !== this.#generation) this.#renew(route);
    return route;
  }

  of(topic: string): Route {
    let route = this.#routes.get(topic);
    if (route === undefined) {
      if (this.#routes.size >= routesMax) this.#routes.clear();
      const broken = refuseTopic(topic);
      route = {
        topic,
        topicBytes: Buffer.from(topic, 'latin1'),
        broken,
        refusals: Object.fromEntries(
          roles.map((role) => [role, broken === undefined ? publishRefusal(role, topic) : undefined]),
        ) as Route['refusals'],
        domain: eventDomain(topic),
        subscribers: [],
        generation: -1,
        published: 0,
        dropped: 0,
      };
      this.#routes.set(topic, route);
    }
    if (route.generation !== this.#generation) this.#renew(route);
    return route;
  }

  #renew(route: Route): void {
    route.subscribers = route.broken === undefined ? this.#trie.match(route.topic) : [];
    route.generation = this.#generation;
  }
}

function sameBytes(topic: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (topic.length !== end - start) return false;
  for (let at = topic.length - 1; at >= 0; at--) if (topic[at] !== bytes[start + at]) return false;
  return true;
}
