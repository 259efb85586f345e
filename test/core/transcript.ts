/**
 * Core tests as transcripts. A line without an arrow is an input at a moment; the lines with an
 * arrow after it are all that follows from it, in order (records left out). Times are absolute: `2s`, `1.5s`.
 *
 *     0s    submit t1 scan
 *     → t1 pending, nobody can
 *     1s    A joins: scan
 *     → A joined
 *     → t1 to A (1)
 */
import { expect } from 'vitest';
import type { Input, Outcome, Output } from '../../src/core/input.ts';
import { checkInvariants } from '../../src/core/invariants.ts';
import type { StoreRecord } from '../../src/core/record.ts';
import { type CoreState, newState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { defaultNamespace, type TaskSpec } from '../../src/core/task.ts';
import { defaultLimits, type Limits } from '../../src/protocol/limits.ts';
import { priorityNames } from '../../src/protocol/schema.ts';
import type { Now } from '../../src/time/now.ts';
import { resultIn } from './harness.ts';

interface Played {
  readonly state: CoreState;
  readonly records: readonly StoreRecord[];
}

export function play(
  transcript: string,
  options: { limits?: Partial<Limits>; seed?: number; state?: CoreState; wallMs?: number } = {},
): Played {
  const state = options.state ?? newState({ seed: options.seed ?? 1, limits: { ...defaultLimits, ...options.limits } });
  const records: StoreRecord[] = [];
  const sessions = new Map<string, number>();
  let nextSession = 1;
  const sessionOf = (name: string): number => {
    if (!sessions.has(name)) sessions.set(name, nextSession++);
    return sessions.get(name)!;
  };
  const nameOf = (session: number): string => [...sessions].find(([, one]) => one === session)?.[0] ?? '?';
  /** `t1#2` is the lease of the second attempt of t1. */
  const tokens = new Map<string, string>();
  const leaseOf = (text: string) => ({ task_id: text.split('#')[0]!, token: tokens.get(text) ?? 'none' });
  const attemptOf = (token: string): number =>
    Number([...tokens].find(([, one]) => one === token)?.[0].split('#')[1] ?? -1);
  const at = (ms: number): Now => ({ monotonicMs: ms, wallMs: (options.wallMs ?? 0) + ms });
  const lines = transcript
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('//'));
  let given: string[] = [];
  let next = 0;
  while (next < lines.length) {
    const line = lines[next++]!;
    const [, seconds, words] = /^([\d.]+)s\s+(.*)$/.exec(line) ?? [];
    if (words === undefined) throw new Error(`what does ${JSON.stringify(line)} mean?`);
    const expected: string[] = [];
    while (lines[next]?.startsWith('→') === true) expected.push(lines[next++]!.slice(1).trim());
    const out: Output[] = [];
    const nowMs = Number(seconds) * 1000;
    // What became due on the way happens first, at its own time.
    while (state.deadlines.nextMs < nowMs) step(state, { kind: 'tick' }, at(state.deadlines.nextMs), out);
    const input = inputOf(words, sessionOf, leaseOf);
    if (input.kind === 'session_closed') sessions.delete(words.split(' ')[0]!);
    step(state, input, at(nowMs), out);
    checkInvariants(state);
    for (const output of out) {
      if (output.kind === 'record') records.push(output.record);
      if (output.kind === 'assign') tokens.set(`${output.spec.id}#${output.attempt}`, output.token);
    }
    given = out.map((output) => wordsOf(output, nameOf, attemptOf)).filter((text) => text !== undefined);
    expect(given, line).toEqual(expected);
  }
  return { state, records };
}

function inputOf(
  words: string,
  sessionOf: (name: string) => number,
  leaseOf: (text: string) => { task_id: string; token: string },
): Input {
  const [first = '', second = '', third = '', ...rest] = words.split(/[\s:,]+/);
  const to = (name: string) => ({ session: sessionOf(name), id: 1 });
  const all = [second, third, ...rest];
  const option = (name: string): string | undefined =>
    all[all.indexOf(name) + 1] !== undefined && all.includes(name) ? all[all.indexOf(name) + 1] : undefined;
  if (first === 'tick') return { kind: 'tick' };
  if (first === 'stop') return { kind: 'stop' };
  if (first === 'submit')
    return {
      kind: 'submit',
      to: to('caller'),
      specs: second.split('+').map((id) => specOf(id, third, option)),
      batch: second.includes('+'),
    };
  if (first === 'cancel') return { kind: 'cancel', to: to('caller'), id: second, reason: '' };
  if (first === 'wait')
    return {
      kind: 'wait',
      to: { session: sessionOf(option('by') ?? 'waiter'), id: Number(option('as') ?? 1) },
      id: second,
      include: [],
      timeoutMs: Number(option('for')!.slice(0, -1)) * 1000,
    };
  if (first === 'route')
    return {
      kind: 'route',
      to: to('caller'),
      strategy: second,
      operation: third === '' ? undefined : third,
    };
  if (second === 'joins') {
    const operations = [
      third,
      ...rest.slice(
        0,
        rest.findIndex((word) => optionWords.has(word)) === -1
          ? undefined
          : rest.findIndex((word) => optionWords.has(word)),
      ),
    ];
    return {
      kind: 'register',
      to: to(first),
      registration: {
        collector_id: option('as') ?? first,
        collector_type: option('type') ?? 'sim',
        version: '1',
        hostname: '',
        pid: 7,
        operations: operations.map((name) => ({ name })),
        capabilities: option('having')?.split('+') ?? [],
        priority_levels: [(option('levels')?.split('-').map(Number) as [number, number] | undefined) ?? [0, 255]],
        max_concurrent_tasks: Number(option('credit') ?? 1),
        weight: 1,
        event_domains: [],
        labels: Object.fromEntries(option('label') === undefined ? [] : [option('label')!.split('=')]),
        metadata: {},
        status: (option('status') as 'healthy' | undefined) ?? 'healthy',
        status_reason: '',
        leases:
          option('still') === undefined
            ? []
            : option('still')!
                .split('+')
                .map((lease) => leaseOf(lease)),
      },
    };
  }
  if (second === 'beats')
    return {
      kind: 'heartbeat',
      to: to(first),
      report: {
        leases: third === '' ? [] : [third, ...rest].map((lease) => leaseOf(lease)),
        status: 'healthy',
        status_reason: '',
      },
    };
  if (second === 'completes')
    return {
      kind: 'complete',
      to: to(first),
      taskId: leaseOf(third).task_id,
      token: leaseOf(third).token,
      result: undefined,
    };
  if (second === 'fails')
    return {
      kind: 'fail',
      to: to(first),
      failure: {
        ...leaseOf(third),
        error: { code: 'oops', message: 'it broke' },
        next: rest[0] === 'elsewhere' || rest[0] === 'give_up' ? rest[0] : 'retry',
        ...(option('after') === undefined ? {} : { retry_after_ms: Number(option('after')!.slice(0, -1)) * 1000 }),
      },
    };
  if (second === 'disconnects') return { kind: 'session_closed', session: sessionOf(first) };
  if (second === 'leaves') return { kind: 'deregister', to: to(first), force: third === 'now', reason: '' };
  throw new Error(`what does ${JSON.stringify(words)} mean?`);
}

const optionWords = new Set(['credit', 'as', 'having', 'levels', 'label', 'type', 'status', 'still']);

function specOf(id: string, operation: string, option: (name: string) => string | undefined): TaskSpec {
  const priority = option('priority') ?? '100';
  return {
    namespace: defaultNamespace,
    id,
    operation,
    priority: priorityNames[priority as 'high'] ?? Number(priority),
    requires: option('requires')?.split('+') ?? [],
    labels: Object.fromEntries(option('label') === undefined ? [] : [option('label')!.split('=')]),
    collectorType: option('type'),
    collectorId: option('only'),
    timeoutMs: Number(option('timeout')?.slice(0, -1) ?? 3600) * 1000,
    maxRetries: Number(option('retries') ?? 3),
    backoffBaseMs: Number(option('backoff')?.slice(0, -1) ?? 0) * 1000,
    backoffCapMs: 3_600_000,
    metadata: {},
    correlation: { correlation_id: id },
    payload: Uint8Array.of(0xc0),
  };
}

function wordsOf(
  output: Output,
  nameOf: (session: number) => string,
  attemptOf: (token: string) => number,
): string | undefined {
  switch (output.kind) {
    case 'assign':
      return `${output.spec.id} to ${nameOf(output.session)} (${output.attempt})`;
    case 'cancel_attempt':
      return `cancel ${output.id}#${attemptOf(output.token)} at ${nameOf(output.session)}`;
    case 'ended':
      return `${nameOf(output.to.session)} is answered: ${output.id} ended`;
    case 'task_moved':
      return ['completed', 'dead_letter', 'cancelled', 'retrying'].includes(output.state)
        ? `${output.spec.id} ${output.state}`
        : undefined;
    case 'collector_changed':
      return output.reason === 'registered' ? `${output.id} joined` : `${output.id} is ${output.status}`;
    case 'reply': {
      if ('code' in output.outcome) return `refused: ${output.outcome.code}`;
      const result = resultIn(output.outcome) as Record<string, unknown>;
      if ('outcomes' in result)
        return (result.outcomes as Extract<Outcome, { code: string }>[])
          .map((one) => wordsOf({ ...output, outcome: 'code' in one ? one : { result: one } }, nameOf, attemptOf))
          .join(', ');
      const one = result;
      if ('duplicate' in one)
        return `${one.id} ${one.duplicate === true ? 'was there: ' : ''}${one.state}${one.position === undefined ? '' : ` at ${one.position}`}${one.warning === undefined ? '' : ', nobody can'}`;
      if ('lost' in result)
        return (result.lost as unknown[]).length === 0
          ? undefined
          : `lost: ${(result.lost as { task_id: string }[]).map(({ task_id }) => task_id).join(' ')}`;
      if ('reclaimed' in result)
        return (result.reclaimed as unknown[]).length === 0
          ? undefined
          : `reclaimed: ${(result.reclaimed as { task_id: string }[]).map(({ task_id }) => task_id).join(' ')}`;
      return undefined;
    }
    default:
      return undefined;
  }
}
