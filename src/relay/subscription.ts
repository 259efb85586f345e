/**
 * Who has interest in what: a trie over the segments of patterns. A node has named children, one child for `*`, the
 * peers whose pattern ends here, and those whose pattern goes on with `#`. Matching a topic walks at most
 * 2^segments paths, and in practice one or two; the result is cached by the relay.
 */
import type { Peer } from './peer.ts';

interface Node {
  readonly children: Map<string, Node>;
  any: Node | undefined;
  readonly ends: Set<Peer>;
  readonly rest: Set<Peer>;
}

const newNode = (): Node => ({ children: new Map(), any: undefined, ends: new Set(), rest: new Set() });

export class SubscriptionTrie {
  readonly #root = newNode();
  #size = 0;

  /** Patterns held, each peer's counted. */
  get size(): number {
    return this.#size;
  }

  /** The pattern must be valid. */
  add(pattern: string, peer: Peer): void {
    const set = this.#setFor(pattern);
    if (set.has(peer)) return;
    set.add(peer);
    this.#size++;
  }

  delete(pattern: string, peer: Peer): void {
    const path: { node: Node; segment: string }[] = [];
    let node = this.#root;
    const segments = pattern.split('.');
    const open = segments.at(-1) === '#';
    for (const segment of open ? segments.slice(0, -1) : segments) {
      const next = segment === '*' || segment === '+' ? node.any : node.children.get(segment);
      if (next === undefined) return;
      path.push({ node, segment });
      node = next;
    }
    if (!(open ? node.rest : node.ends).delete(peer)) return;
    this.#size--;
    for (let step = path.pop(); step !== undefined && isBare(node); step = path.pop()) {
      node = step.node;
      if (step.segment === '*' || step.segment === '+') node.any = undefined;
      else node.children.delete(step.segment);
    }
  }

  /** Every peer with a pattern that matches, once. */
  match(topic: string): Set<Peer> {
    const found = new Set<Peer>();
    collect(this.#root, topic.split('.'), 0, found);
    return found;
  }

  #setFor(pattern: string): Set<Peer> {
    let node = this.#root;
    for (const segment of pattern.split('.')) {
      if (segment === '#') return node.rest;
      if (segment === '*' || segment === '+') {
        node.any ??= newNode();
        node = node.any;
        continue;
      }
      let next = node.children.get(segment);
      if (next === undefined) {
        next = newNode();
        node.children.set(segment, next);
      }
      node = next;
    }
    return node.ends;
  }
}

const isBare = (node: Node): boolean =>
  node.children.size === 0 && node.any === undefined && node.ends.size === 0 && node.rest.size === 0;

function collect(node: Node, segments: readonly string[], at: number, found: Set<Peer>): void {
  for (const peer of node.rest) found.add(peer);
  if (at === segments.length) {
    for (const peer of node.ends) found.add(peer);
    return;
  }
  const named = node.children.get(segments[at]!);
  if (named !== undefined) collect(named, segments, at + 1, found);
  if (node.any !== undefined) collect(node.any, segments, at + 1, found);
}
