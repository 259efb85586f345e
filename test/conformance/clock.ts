/** What every clock must do. `pass` lets so much of its own time go by. */
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/time/clock.ts';

interface ClockUnderTest {
  readonly clock: Clock;
  readonly pass: (ms: number) => Promise<void>;
}

export function clockConformance(name: string, open: () => ClockUnderTest): void {
  describe(`${name} clock`, () => {
    test('monotonic time never falls, and wall time is whole milliseconds', async () => {
      const { clock, pass } = open();
      let latest = clock.now().monotonicMs;
      for (let times = 0; times < 5; times++) {
        await pass(2);
        const { monotonicMs, wallMs } = clock.now();
        expect(monotonicMs).toBeGreaterThanOrEqual(latest);
        expect(Number.isInteger(wallMs)).toBe(true);
        latest = monotonicMs;
      }
    });

    test('wakes once, and not before its moment', async () => {
      const { clock, pass } = open();
      const woken: number[] = [];
      const atMs = clock.now().monotonicMs + 20;
      clock.wakeAt(atMs, () => woken.push(clock.now().monotonicMs));
      clock.wakeAt(atMs, () => woken.push(clock.now().monotonicMs)); // the same once more
      await pass(200);
      expect(woken.length).toBe(1);
      // A real timer counts whole milliseconds.
      expect(woken[0]).toBeGreaterThanOrEqual(atMs - 1);
    });

    test('a later wish replaces an earlier one, and Infinity means never', async () => {
      const { clock, pass } = open();
      const woken: string[] = [];
      const nowMs = clock.now().monotonicMs;
      clock.wakeAt(nowMs + 10, () => woken.push('first'));
      clock.wakeAt(nowMs + 60, () => woken.push('second'));
      await pass(200);
      expect(woken).toEqual(['second']);
      clock.wakeAt(clock.now().monotonicMs + 10, () => woken.push('third'));
      clock.wakeAt(Number.POSITIVE_INFINITY, () => woken.push('never'));
      await pass(100);
      expect(woken).toEqual(['second']);
    });

    test('may be set anew when it wakes, and a moment that has passed is now', async () => {
      const { clock, pass } = open();
      const woken: number[] = [];
      const again = (): void => {
        woken.push(woken.length);
        if (woken.length < 3) clock.wakeAt(clock.now().monotonicMs - 5, again);
      };
      clock.wakeAt(clock.now().monotonicMs, again);
      await pass(200);
      expect(woken).toEqual([0, 1, 2]);
    });

    test('a pass that is asked for runs soon, but not at once; what is later runs later', async () => {
      const { clock, pass } = open();
      const ran: string[] = [];
      clock.later(30, () => ran.push('later'));
      clock.soon(() => ran.push('soon'));
      expect(ran).toEqual([]);
      await pass(200);
      expect(ran).toEqual(['soon', 'later']);
    });
  });
}
