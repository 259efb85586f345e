/** How the disk and the connections of a life behave. */
import type { Room } from '../../src/store/port.ts';
import type { DiskNature, Fate, Work } from '../twins/store.ts';
import type { StreamNature } from '../twins/stream.ts';
import type { LifeWorld } from './world.ts';

/** Of one connection. */
export function streamNature({ dice, timeline, fail }: LifeWorld): StreamNature {
  const slowMs = dice.oneOf([0.1, 1, 20]);
  return {
    timeline,
    latencyMs: () => dice.spanMs(slowMs),
    windowBytes: dice.oneOf([1000, 4000, 16_000]),
    pieces: () => (dice.chance(0.1) ? dice.between(2, 4) : 1),
    cutAt: (bytes) => dice.pick(bytes),
    fail,
  };
}

/**
 * `short`: there is room for little, now and then for nothing; `full`: commits fail, whatever was said; `removed`: the files
 * of the store are no longer where the next start looks for them.
 */
export type DiskState = 'sound' | 'short' | 'full' | 'removed';

const endless: Room = { bytes: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY, full: false };

/** A payload that cannot be read back once cannot be read ever again. */
function damagedIn({ dice, damaged, isCalm }: LifeWorld, id: string): boolean {
  if (!isCalm && dice.chance(0.01)) damaged.add(id);
  return damaged.has(id);
}

function roomOf(world: LifeWorld, state: () => DiskState): () => Room {
  const { dice, timeline } = world;
  let room = endless;
  let untilMs = 0;
  return () => {
    if (world.isCalm || state() !== 'short') return endless;
    if (timeline.nowMs < untilMs) return room;
    untilMs = timeline.nowMs + dice.spanMs(4000);
    room = { ...endless, bytes: dice.oneOf([0, 1_000_000, 1_700_000, 20_000_000]), full: dice.chance(0.7) };
    return room;
  };
}

/** Of the disk, as long as one process uses it. */
export function diskNature(world: LifeWorld, state: () => DiskState, die: () => void): DiskNature {
  const { dice, durable, timeline, trace } = world;
  const slowMs = dice.oneOf([0.5, 5, 50]);
  return {
    after: (_work, run) => {
      const isStalled = !world.isCalm && dice.chance(0.01);
      timeline.after(dice.spanMs(slowMs) + (isStalled ? dice.pick(6000) : 0), run);
    },
    leavesMemory: () => dice.chance(0.3),
    damages: (id) => damagedIn(world, id),
    room: roomOf(world, state),
    fate: (work) => fateOf(world, work, state()),
    die,
    applied: (records) => {
      trace.note(`commit ${records.length}`);
      try {
        durable.applied(records);
      } catch (error) {
        world.fail(error);
      }
    },
    looked: (expiry) => durable.looked(expiry),
  };
}

function fateOf({ dice, isCalm }: LifeWorld, work: Work, state: DiskState): Fate {
  if (isCalm) return 'done';
  if (work === 'check' || (work === 'commit' && state === 'removed')) return state === 'removed' ? 'removed' : 'done';
  if (work !== 'commit') return dice.chance(state === 'full' ? 0.3 : 0.003) ? 'fails' : 'done';
  if (state === 'full') return 'fails';
  const what = dice.pick(1000);
  return what < 4 ? 'dies_before' : what < 8 ? 'dies_after' : 'done';
}
