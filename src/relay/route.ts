/**
 * Where a topic leads: the peers with interest, and whether its publishers may. Built once per topic and kept until a
 * subscription changes. Looked up straight from the bytes of a frame: a small table, direct-mapped by a hash of the
 * topic's bytes, stands before the map, so that the hot path makes no string.
 */
import { authorise, type Principal } from '../protocol/access.ts';
import type { Fault } from '../protocol/fault.ts';
import { refuseTopic } from '../protocol/topic.ts';
import type { Peer } from './peer.ts';

export interface Route {
  readonly topic: string;
  readonly topicBytes: Buffer;
  /** Set when the topic breaks the grammar; nothing is ever delivered then. */
  readonly broken: Fault | undefined;
  peers: readonly Peer[];
  generation: number;
  /** The latest publisher and its verdict, and those of the others. */
  latestPublisher: Principal | undefined;
  refusal: Fault | undefined;
  readonly refusals: WeakMap<Principal, Fault | false>;
}

const tableSize = 1024;

export class RouteCache {
  readonly #match: (topic: string) => readonly Peer[];
  readonly #routesMax: number;
  readonly #routes = new Map<string, Route>();
  readonly #table: (Route | undefined)[] = new Array<Route | undefined>(tableSize).fill(undefined);
  #generation = 0;

  constructor(match: (topic: string) => readonly Peer[], routesMax: number) {
    this.#match = match;
    this.#routesMax = routesMax;
  }

  get size(): number {
    return this.#routes.size;
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
      if (this.#routes.size >= this.#routesMax) this.#routes.clear();
      route = {
        topic,
        topicBytes: Buffer.from(topic, 'latin1'),
        broken: refuseTopic(topic),
        peers: [],
        generation: -1,
        latestPublisher: undefined,
        refusal: undefined,
        refusals: new WeakMap(),
      };
      this.#routes.set(topic, route);
    }
    if (route.generation !== this.#generation) this.#renew(route);
    return route;
  }

  #renew(route: Route): void {
    route.peers = route.broken === undefined ? this.#match(route.topic) : [];
    route.generation = this.#generation;
  }
}

/** Why the principal may not publish on the route, or undefined. A principal that changes is another object. */
export function publishRefusal(route: Route, principal: Principal): Fault | undefined {
  if (route.latestPublisher === principal) return route.refusal;
  let refusal = route.refusals.get(principal);
  if (refusal === undefined) {
    refusal = route.broken ?? authorise(principal, { action: 'publish', topic: route.topic }) ?? false;
    route.refusals.set(principal, refusal);
  }
  route.latestPublisher = principal;
  route.refusal = refusal === false ? undefined : refusal;
  return route.refusal;
}

function sameBytes(topic: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (topic.length !== end - start) return false;
  for (let at = topic.length - 1; at >= 0; at--) if (topic[at] !== bytes[start + at]) return false;
  return true;
}
