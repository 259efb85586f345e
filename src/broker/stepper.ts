/**
 * Steps inputs in their order, as far as the store has room for what they write: a large batch is committed before it
 * grows further, room is made when there is too little, and where none can be had `admission.ts` says what becomes of it.
 */
import type { Input, Output } from '../core/input.ts';
import { type Facts, noFacts, type Prefetch, type Recall } from '../core/prefetch.ts';
import type { CoreState } from '../core/state.ts';
import { step } from '../core/step.ts';
import type { Store } from '../store/port.ts';
import type { Now } from '../time/now.ts';
import { admit, canStep, needOf } from './admission.ts';

/** An input that is ready to be stepped, and what it was found to need. */
export interface Ready {
  readonly input: Input;
  readonly recall: Recall | undefined;
  readonly needs: Prefetch | undefined;
  readonly facts?: Facts;
}

interface StepperOptions {
  readonly core: { state: CoreState };
  readonly store: Pick<Store, 'room' | 'makeRoom'>;
  readonly now: () => Now;
  readonly wake: () => void;
  readonly failed: (error: Error) => void;
  readonly step?: typeof step;
}

/** Bytes of records beyond which later inputs wait for the next commit. */
const batchBytes = 8 * 1024 * 1024;
const tick: Ready = { input: { kind: 'tick' }, recall: undefined, needs: undefined };

export class Stepper {
  readonly #options: StepperOptions;
  /** Bytes that the records of the next commit take at most. */
  #bytes = 0;
  /** What has happened and waits for room in the store. */
  readonly #kept: Ready[] = [];
  #isHeldUp = false;
  #isMakingRoom = false;
  /** Since the last commit or look. */
  #isRoomTried = false;

  constructor(options: StepperOptions) {
    this.#options = options;
  }

  /** Whether the first of the inbox waits for a commit, or for room. */
  get isHeldUp(): boolean {
    return this.#isHeldUp;
  }

  /** The records that were made so far are given to the store. */
  taken(): void {
    if (this.#bytes > 0) this.#isRoomTried = false;
    this.#bytes = 0;
  }

  takeKept(): Ready[] {
    return this.#kept.splice(0);
  }

  lookForRoom(): void {
    this.#isRoomTried = false;
    if (this.#options.core.state.frozen) this.#options.wake();
  }

  /** Returns those that must wait. */
  run(inbox: readonly Ready[], isCommitting: boolean, out: Output[]): Ready[] {
    const { core, store, now } = this.#options;
    const { room } = store;
    const moment = now();
    const left = (): number => room.bytes - this.#bytes;
    let all = inbox;
    if (core.state.frozen && canStep(left())) {
      core.state.frozen = false;
      core.state.unfinished = true; // what became due meanwhile
      all = [...this.#kept.splice(0), ...inbox];
    }
    let at = 0;
    this.#isHeldUp = false;
    for (; at < all.length; at++) {
      const ready = all[at]!;
      if (this.#mustWait(needOf(ready.input, left()), left(), isCommitting)) break;
      const admission = admit(ready.input, room, left());
      core.state.frozen = !canStep(left());
      if (admission === 'step') this.#step(ready, moment, out);
      else if (admission === 'keep') this.#kept.push(ready);
      else {
        out.push(admission);
        dispose(ready);
      }
    }
    while (!this.#isHeldUp && core.state.unfinished && !core.state.frozen)
      if (!this.#mustWait(needOf(tick.input), left(), isCommitting)) this.#step(tick, moment, out);
    return all.slice(at);
  }

  #step(ready: Ready, moment: Now, out: Output[]): void {
    const { core, step: apply = step } = this.#options;
    apply(core.state, ready.input, moment, out, ready.facts ?? ready.recall?.facts ?? noFacts);
    this.#bytes += core.state.written;
    dispose(ready);
  }

  /**
   * Whether the next input waits: a commit takes what has gathered, or more room is made first. When that was tried in vain
   * it is decided with the room there is.
   */
  #mustWait(need: number, left: number, isCommitting: boolean): boolean {
    const isEnough = left >= need;
    if (isEnough && this.#bytes < batchBytes) return false;
    const isAlone = this.#bytes === 0 && !isCommitting;
    if (isAlone && (isEnough || this.#isRoomTried)) return false;
    this.#isHeldUp = true;
    if (isAlone && !this.#isMakingRoom) void this.#makeRoom(need);
    return true;
  }

  async #makeRoom(need: number): Promise<void> {
    this.#isMakingRoom = true;
    const { store } = this.#options;
    try {
      await store.makeRoom(Math.min(need, store.room.most));
    } catch (error) {
      this.#options.failed(error as Error);
    }
    this.#isMakingRoom = false;
    this.#isRoomTried = true;
    this.#options.wake();
  }
}

/** When it was stepped, or will not be. */
export function dispose({ recall: noted, needs }: Ready): void {
  noted?.[Symbol.dispose]();
  needs?.[Symbol.dispose]();
}
