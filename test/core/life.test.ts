import { describe, expect, test } from 'vitest';
import { play } from './transcript.ts';

describe('match', () => {
  test('capabilities, labels, type, pin and priority levels', () => {
    play(`
      0s A joins: scan label zone=a levels 0-99
      → A joined
      0s B joins: scan having process+kernel_level type deep
      → B joined
      0s submit t1 scan requires process+kernel_level
      → t1 to B (1)
      → t1 in_progress
      0s submit t2 scan requires gpu
      → t2 pending at 0, nobody can
      0s submit t3 scan label zone=a
      → t3 pending at 0, nobody can
      0s submit t4 scan label zone=a priority low
      → t4 to A (1)
      → t4 in_progress
      0s submit t5 scan only B
      → t5 pending at 0
      0s submit t6 scan type deep
      → t6 pending at 0
      1s B completes t1#1
      → t1 completed
      → t5 to B (1)
    `);
  });
});

describe('an attempt ends', () => {
  test('completing twice frees one slot; a stale answer changes nothing', () => {
    const { state } = play(`
      0s A joins: scan credit 2
      → A joined
      0s submit t1+t2+t3 scan
      → t1 to A (1)
      → t2 to A (1)
      → t1 in_progress, t2 in_progress, t3 pending at 0
      1s A completes t1#1
      → t1 completed
      → t3 to A (1)
      1s A completes t1#1
      → refused: stale_lease
      1s A completes t2#9
      → refused: stale_lease
    `);
    expect(state.collectors.get('A')?.tasks.size).toBe(2);
  });

  test('somebody else cannot end it', () => {
    play(`
      0s A joins: scan
      → A joined
      0s B joins: other
      → B joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      1s B completes t1#1
      → refused: stale_lease
    `);
  });

  test('failed: retried after its backoff, at most max_retries times, then dead', () => {
    const { records } = play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan retries 2
      → t1 to A (1)
      → t1 in_progress
      1s A fails t1#1 retry after 4s
      → t1 retrying
      4.9s tick
      5s tick
      → t1 to A (2)
      6s A fails t1#2 retry after 1s
      → t1 retrying
      7s tick
      → t1 to A (3)
      8s A fails t1#3
      → t1 dead_letter
      9s A completes t1#3
      → refused: stale_lease
    `);
    const attempts = records.filter((record) => record.kind === 'attempt');
    expect(attempts.map(({ attempt, outcome, error }) => [attempt, outcome, error?.code])).toEqual(
      [1, 2, 3].map((at) => [at, 'failed', 'oops']),
    );
  });

  test('the backoff is within its bound and grows', () => {
    for (let seed = 1; seed < 50; seed++) {
      const { state } = play(
        '0s A joins: scan\n→ A joined\n0s submit t1 scan backoff 5s\n→ t1 to A (1)\n→ t1 in_progress\n0s A fails t1#1\n→ t1 retrying',
        { seed },
      );
      expect(state.deadlines.nextMs).toBeLessThanOrEqual(16_500);
      const { life } = state.tasks.get('t1')!;
      expect(life.state === 'retrying' && life.readyAtMs).toBeLessThanOrEqual(5000);
    }
  });

  test('a handler can give up, or ask for another collector', () => {
    play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      1s A fails t1#1 give_up
      → t1 dead_letter
      2s submit t2 scan
      → t2 to A (1)
      → t2 in_progress
      3s A fails t2#1 elsewhere
      4s B joins: scan
      → B joined
      → t2 to B (2)
    `);
  });

  test('over its time: told to stop, and failed after the grace', () => {
    play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan timeout 3s retries 0
      → t1 to A (1)
      → t1 in_progress
      3s tick
      → A is told to drop t1#1
      7.9s tick
      8s tick
      → t1 dead_letter
    `);
  });
});

describe('a collector is lost', () => {
  test('its connection closes: the task goes to another at once', () => {
    const { state } = play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      0s B joins: scan
      → B joined
      2s A hangs up
      → A is gone
      → t1 to B (2)
      3s B completes t1#2
      → t1 completed
    `);
    expect(state.totals).toMatchObject({ requeued: 1, completed: 1, assigned: 2 });
  });

  test('it beats but forgets a lease: the lease runs out', () => {
    play(`
      0s A joins: scan credit 2
      → A joined
      0s submit t1+t2 scan retries 0
      → t1 to A (1)
      → t2 to A (1)
      → t1 in_progress, t2 in_progress
      15s A beats t1#1
      29s A beats t1#1
      31s tick
      → A is told to drop t2#1
      → t2 dead_letter
    `);
  });

  test('a poisoned task that kills every collector ends in the dead letters', () => {
    const lines: string[] = ['0s submit t1 scan retries 2', '→ t1 pending at 0, nobody can'];
    for (let at = 1; at <= 3; at++)
      lines.push(
        `${at}s C${at} joins: scan`,
        `→ C${at} joined`,
        `→ t1 to C${at} (${at})`,
        `${at}.5s C${at} hangs up`,
        ...(at === 3 ? ['→ t1 dead_letter'] : []),
        `→ C${at} is gone`,
      );
    play(lines.join('\n'));
  });

  test('it leaves: drained, or at once', () => {
    play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      1s A leaves
      → A is draining
      1s submit t2 scan
      → t2 pending at 0
      2s A completes t1#1
      → t1 completed
      → A is gone
      3s B joins: scan
      → B joined
      → t2 to B (1)
      4s B leaves now
      → B is gone
    `);
  });

  test('a draining one whose last task is taken away is gone too', () => {
    play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan timeout 3s retries 0
      → t1 to A (1)
      → t1 in_progress
      1s A leaves
      → A is draining
      3s tick
      → A is told to drop t1#1
      8s tick
      → t1 dead_letter
      → A is gone
    `);
  });

  test('an id is held once', () => {
    play(`
      0s A joins: scan
      → A joined
      0s B joins: scan as A
      → refused: id_taken
      0s A joins: scan as other
      → refused: id_taken
    `);
  });
});
