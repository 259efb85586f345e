import { describe, expect, test } from 'vitest';
import type { Input, Output } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { type Canary, live } from './world.ts';

const lives = Number(process.env.DEYE_LIVES ?? 3000);
const firstSeed = Number(process.env.DEYE_SEED ?? 1);

test(`${lives} lives from seed ${firstSeed} keep every invariant`, { timeout: 600_000 }, async () => {
  let accepted = 0;
  let crashes = 0;
  for (let seed = firstSeed; seed < firstSeed + lives; seed++) {
    const life = await live(seed).catch((cause) => {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause });
    });
    accepted += life.accepted;
    crashes += life.crashes;
  }
  expect(accepted).toBeGreaterThan(lives * 20);
  expect(crashes).toBeGreaterThan(lives);
});

test('the same seed gives the same trace', async () => {
  for (let seed = 1; seed <= 20; seed++) expect(await live(seed)).toEqual(await live(seed));
  expect((await live(1)).hash).not.toBe((await live(2)).hash);
});

/** Planted bugs. Each must be found within a few hundred lives, or the simulator has gone blind. */
const canaries: Record<string, Canary> = {
  'a submit is acknowledged without being stored': {
    keeps: (record) => !('seq' in record) || record.seq % 7 !== 0,
  },
  'a completion is acknowledged without being stored': {
    keeps: (record) => !(record.kind === 'moved' && record.state === 'completed' && record.seq % 5 === 0),
  },
  'a closed connection does not return its tasks': {
    step: (state, input, nowMs, out) =>
      step(state, input.kind === 'session_closed' ? { kind: 'tick' } : input, nowMs, out),
  },
  'a stale answer is taken for the current attempt': {
    step: (state, input, nowMs, out) => {
      const task = input.kind === 'complete' ? state.tasks.get(input.taskId) : undefined;
      const phase = task?.phase;
      const forged: Input =
        input.kind === 'complete' &&
        task !== undefined &&
        phase?.state === 'in_progress' &&
        phase.collector !== undefined
          ? { ...input, attempt: task.attempt, to: { ...input.to, session: phase.collector.session } }
          : input;
      const said: Output[] = [];
      step(state, forged, nowMs, said);
      // The lie is told to the one who asked.
      for (const output of said)
        out.push(
          output.kind === 'reply' && forged !== input && input.kind === 'complete'
            ? { ...output, to: input.to }
            : output,
        );
    },
  },
  'a slot is not freed when a task ends': {
    step: (state, input, nowMs, out) => {
      const task = input.kind === 'complete' ? state.tasks.get(input.taskId) : undefined;
      const collector = task?.phase.state === 'in_progress' ? task.phase.collector : undefined;
      step(state, input, nowMs, out);
      if (task !== undefined && collector !== undefined && task.phase.state === 'completed' && task.seq % 9 === 0)
        collector.tasks.set(task.spec.id, task);
    },
  },
  'an attempt beyond the limit is handed out': {
    step: (state, input, nowMs, out) => {
      for (const task of state.tasks.values())
        if (task.phase.state === 'in_progress' && task.attempt === task.spec.maxRetries + 1)
          Object.assign(task.spec, { maxRetries: task.spec.maxRetries + 1 });
      step(state, input, nowMs, out);
    },
  },
  'a retry is forgotten': {
    step: (state, input, nowMs, out) => {
      step(state, input, nowMs, out);
      for (const task of state.tasks.values())
        if (task.phase.state === 'retrying' && task.seq % 5 === 0) state.deadlines.delete(task);
    },
  },
};

describe('canaries are found', () => {
  for (const [name, canary] of Object.entries(canaries))
    test(name, async () => {
      let found: { seed: number; message: string } | undefined;
      for (let seed = 1; seed <= 400 && found === undefined; seed++)
        await live(seed, canary).catch((error: Error) => (found = { seed, message: error.message }));
      expect(found?.message).toMatch(/I\d|closed session|gauge/);
    });
});
