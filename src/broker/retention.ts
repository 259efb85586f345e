/**
 * Deleting what ended long ago, and what is too much: at the start and from then on, soon again where there was something
 * and once a minute where there was not, in slices, each a step of the core like any other, so that commits and reads in
 * between do not wait. A clock that is far ahead makes everything old: after more than a day in which nothing was stored or
 * the clock jumped, nothing is deleted for an hour, in which the clock can be set right.
 */
import type { Logger } from 'pino';
import type { Input } from '../core/input.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Store } from '../store/port.ts';
import { duration } from '../text/quantity.ts';
import type { Now } from '../time/now.ts';
import { ClockWatch } from './clock-watch.ts';

/** From one look to the next: the longest, and the first after one that found something. Each that finds nothing doubles it. */
const everyMs = 60_000;
const soonMs = 1000;
/** Most tasks of one slice; how many it is follows from how long the last ones took. */
const sliceTasks = 10_000;
const pauseMs = 10;
const unseenMsMax = 86_400_000;
const holdMs = 3_600_000;

interface RetentionOptions {
  readonly store: Pick<Store, 'expired' | 'shrink'>;
  readonly enqueue: (input: Input) => void;
  readonly limits: Limits;
  readonly log: Logger;
  /** The newest instant that the store kept. */
  readonly newestAtMs: number | undefined;
  readonly now: () => Now;
  readonly after: (ms: number, run: () => void) => void;
  readonly failed: (error: Error) => void;
}

export class Retention {
  /** Why nothing is deleted at the start, for the command that started the broker. */
  readonly warning: string | undefined;
  readonly #options: RetentionOptions;
  readonly #clockWatch: ClockWatch;
  /** In monotonic time. */
  #heldUntilMs = 0;
  #untilNextMs = everyMs;

  constructor(options: RetentionOptions) {
    this.#options = options;
    const start = options.now();
    this.#clockWatch = new ClockWatch(start, ({ byMs }) => {
      if (byMs > unseenMsMax) this.#hold(this.#options.now(), `The clock went ahead by ${duration(byMs)}.`);
    });
    const unseenMs = start.wallMs - (options.newestAtMs ?? start.wallMs);
    if (unseenMs > unseenMsMax)
      this.warning = this.#hold(start, `By the clock, nothing was stored for ${duration(unseenMs)}.`);
    this.#purge();
  }

  /** Looks at the clock; a jump is seen before the next purge at the latest. */
  look(): void {
    this.#clockWatch.look(this.#options.now());
  }

  #hold({ monotonicMs }: Now, why: string): string {
    this.#heldUntilMs = monotonicMs + holdMs;
    const warning = `${why} Tasks that ended long ago are deleted in ${duration(holdMs)}; if the clock is wrong, set it before.`;
    this.#options.log.warn({ component: 'retention' }, warning);
    return warning;
  }

  readonly #purge = (): void => {
    const { now, after, failed } = this.#options;
    const moment = now();
    this.#clockWatch.look(moment);
    const heldMs = this.#heldUntilMs - moment.monotonicMs;
    if (heldMs > 0) return after(heldMs, this.#purge);
    this.#slice(moment).then((isMore) => after(this.#pause(isMore), this.#purge), failed);
  };

  #pause(isMore: boolean): number {
    const ms = isMore ? pauseMs : this.#untilNextMs;
    this.#untilNextMs = isMore ? soonMs : Math.min(everyMs, 2 * ms);
    return ms;
  }

  /** Whether there may be more to do, and room to do it. */
  async #slice({ wallMs }: Now): Promise<boolean> {
    const { store, limits, enqueue } = this.#options;
    const expired = await store.expired({
      beforeMs: wallMs - limits.retentionMs,
      deadLettersBeforeMs: wallMs - limits.deadLetterRetentionMs,
      tasksMax: limits.endedTasksMax,
      bytesMax: limits.bookBytesMax,
      wallMs,
      limit: sliceTasks,
    });
    if (expired.tasks.length === 0 && expired.bodies.length === 0) return store.shrink();
    return new Promise<boolean>((settle) => {
      enqueue({ kind: 'expire', expired, run: () => settle(true), skipped: () => settle(false) });
    });
  }
}
