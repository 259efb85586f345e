import { expect, test } from 'vitest';
import { showTask } from '../../src/cli/task-bodies.ts';
import { syncNote, taskText } from '../../src/cli/task-print.ts';
import type { Client, TaskDetail } from '../../src/index.ts';

const task: TaskDetail = {
  ...{ id: '01a31800-0000-7000-8000-000000000001', operation: 'scan', state: 'completed', priority: 100, attempt: 1 },
  ...{ max_retries: 3, submitted_at_ms: 1, updated_at_ms: 2, requires: [], labels: {}, timeout_ms: 30_000 },
  ...{ metadata: {}, attempts: [], payload_bytes: 0, trimmed: true },
};

test('a task whose bodies were deleted is asked for once, and says so', async () => {
  const asked: unknown[] = [];
  const request = async (...args: unknown[]) => {
    asked.push(args);
    return task;
  };
  const shown = await showTask(
    { request, welcome: { limits: { frame_bytes_max: 1e9 } } } as unknown as Client,
    task.id,
    true,
  );
  expect(asked).toEqual([['task.show', { id: task.id }]]);
  const text = taskText(shown, { full: true } as Parameters<typeof taskText>[1]);
  expect(text).toMatch(/payload +gone: deleted, .*book_bytes_max, or damaged on the disk/);
  expect(text).not.toContain('--full');
});

test('what is not synced yet says so; what is, or never will be, does not', () => {
  expect(syncNote('100ms')).toMatch(/not synced yet.*100 ms/);
  for (const sync of ['batch', 'none', undefined] as const) expect(syncNote(sync)).toBeUndefined();
});
