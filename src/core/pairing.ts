/**
 * A collector and a class that fit are a pairing. The pairings of a collector lie in a heap by the best task it may find
 * there, so that its next task costs O(log classes), however many it serves. The key of a pairing may be better than
 * what is really there (another collector was given that task): it is checked again when it comes to the top.
 */
import type { HeapOrder } from '../time/heap.ts';
import type { Collector } from './collector.ts';
import { acceptsPriority, couldServe } from './match.ts';
import type { Task } from './task.ts';
import type { TaskClass } from './task-class.ts';

export interface Pairing {
  readonly collector: Collector;
  readonly class: TaskClass;
  /** The best that the collector may find here: a priority and an order of acceptance. */
  priority: number;
  seq: number;
  index: number;
}

/** Whether the first of two tasks goes first: the higher priority, then the older. */
export const goesBefore = (priority: number, seq: number, otherPriority: number, otherSeq: number): boolean =>
  priority > otherPriority || (priority === otherPriority && seq < otherSeq);

export const pairingOrder: HeapOrder<Pairing> = {
  before: (a, b) => goesBefore(a.priority, a.seq, b.priority, b.seq),
  indexOf: ({ index }) => index,
  setIndex: (pairing, index) => {
    pairing.index = index;
  },
};

/** The best task of the class that the collector accepts. */
export function bestFor(collector: Collector, cls: TaskClass): Task | undefined {
  for (const level of cls.levels) if (acceptsPriority(collector, level)) return cls.pending.get(level)!.first;
  return undefined;
}

/** Whether any registered collector could do a task of this class and priority sooner or later. */
export const isServable = (cls: TaskClass, priority: number): boolean =>
  cls.pairings.some(({ collector }) => couldServe(collector, cls, priority));

export function pair(collector: Collector, cls: TaskClass): void {
  const made: Pairing = { collector, class: cls, priority: -1, seq: 0, index: -1 };
  const at = cls.pairings.findIndex(({ collector: other }) => other.id > collector.id);
  if (at === -1) cls.pairings.push(made);
  else cls.pairings.splice(at, 0, made);
  collector.pairings.add(made);
  raiseToBest(made);
}

export function unpair(collector: Collector): void {
  for (const each of collector.pairings) {
    each.class.pairings = each.class.pairings.filter((other) => other !== each);
    collector.work.delete(each);
  }
  collector.pairings.clear();
}

/** Gives a pairing at least the key of the best task behind it. */
function raiseToBest(each: Pairing): void {
  const best = bestFor(each.collector, each.class);
  if (best === undefined) return;
  const { priority } = best.spec;
  if (each.index !== -1 && !goesBefore(priority, best.seq, each.priority, each.seq)) return;
  each.priority = priority;
  each.seq = best.seq;
  each.collector.work.set(each);
}

/** No task of the class can be handed out now: each collector that fits finds them when it has credit again. */
export function park(cls: TaskClass): void {
  for (const each of cls.pairings) raiseToBest(each);
}

/** The class that holds the best task for the collector. Pairings with nothing behind them are dropped on the way. */
export function bestClass(collector: Collector): TaskClass | undefined {
  for (let top = collector.work.first; top !== undefined; top = collector.work.first) {
    const best = bestFor(collector, top.class);
    if (best === undefined) collector.work.delete(top);
    else if (best.seq === top.seq && best.spec.priority === top.priority) return top.class;
    else {
      top.priority = best.spec.priority;
      top.seq = best.seq;
      collector.work.set(top);
    }
  }
  return undefined;
}

/** Removes the pairings of a class that is dropped. */
export function unpairClass(cls: TaskClass): void {
  for (const each of cls.pairings) {
    each.collector.pairings.delete(each);
    each.collector.work.delete(each);
  }
}
