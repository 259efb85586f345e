/**
 * Core tests as transcripts. A line without an arrow is something said to the core at a moment; the lines with an
 * arrow after it are all that the core says to it, in order (records left out). Times are absolute: `2s`, `1.5s`.
 *
 *     0s    submit t1 scan
 *     → t1 pending, nobody can
 *     1s    A joins: scan
 *     → A joined
 *     → t1 to A (1)
 */
import { expect } from 'vitest';
import { checkInvariants } from '../../src/core/invariants.ts';
import { type CoreState, type Input, newState, type Output } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import type { StoreRecord, TaskSpec } from '../../src/core/task.ts';
import { defaultLimits, type Limits } from '../../src/protocol/limits.ts';
import { priorityNames } from '../../src/protocol/schema.ts';

export interface Played {
  readonly state: CoreState;
  readonly records: readonly StoreRecord[];
}

export function play(transcript: string, options: { limits?: Partial<Limits>; seed?: number } = {}): Played {
  const state = newState({ seed: options.seed ?? 1, limits: { ...defaultLimits, ...options.limits } });
  const records: StoreRecord[] = [];
  const sessions = new Map<string, number>();
  let nextSession = 1;
  const sessionOf = (name: string): number => {
    if (!sessions.has(name)) sessions.set(name, nextSession++);
    return sessions.get(name)!;
  };
  const nameOf = (session: number): string => [...sessions].find(([, one]) => one === session)?.[0] ?? '?';
  const lines = transcript
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('//'));
  let said: string[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at++]!;
    const [, seconds, words] = /^([\d.]+)s\s+(.*)$/.exec(line) ?? [];
    if (words === undefined) throw new Error(`what does ${JSON.stringify(line)} mean?`);
    const expected: string[] = [];
    while (lines[at]?.startsWith('→') === true) expected.push(lines[at++]!.slice(1).trim());
    const out: Output[] = [];
    const nowMs = Number(seconds) * 1000;
    // What became due on the way happens first, at its own time.
    while (state.deadlines.nextMs < nowMs) step(state, { kind: 'tick' }, state.deadlines.nextMs, out);
    const input = inputOf(words, sessionOf);
    if (input.kind === 'session_closed') sessions.delete(words.split(' ')[0]!);
    step(state, input, nowMs, out);
    checkInvariants(state);
    for (const output of out) if (output.kind === 'record') records.push(output.record);
    said = out.map((output) => wordsOf(output, nameOf)).filter((text) => text !== undefined);
    expect(said, line).toEqual(expected);
  }
  return { state, records };
}

function inputOf(words: string, sessionOf: (name: string) => number): Input {
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
    return { kind: 'wait', to: to('waiter'), id: second, deadlineMs: Number(option('until')!.slice(0, -1)) * 1000 };
  if (first === 'route')
    return {
      kind: 'route',
      to: to('caller'),
      strategy: second as 'round_robin',
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
      offer: {
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
                .map((lease) => ({ task_id: lease.split('#')[0]!, attempt: Number(lease.split('#')[1]) })),
      },
    };
  }
  if (second === 'beats')
    return {
      kind: 'heartbeat',
      to: to(first),
      said: {
        sequence: 0,
        leases:
          third === ''
            ? []
            : [third, ...rest].map((lease) => ({
                task_id: lease.split('#')[0]!,
                attempt: Number(lease.split('#')[1]),
              })),
        status: 'healthy',
        status_reason: '',
      },
    };
  if (second === 'completes')
    return {
      kind: 'complete',
      to: to(first),
      taskId: third.split('#')[0]!,
      attempt: Number(third.split('#')[1]),
      result: undefined,
    };
  if (second === 'fails')
    return {
      kind: 'fail',
      to: to(first),
      said: {
        task_id: third.split('#')[0]!,
        attempt: Number(third.split('#')[1]),
        error: { code: 'oops', message: 'it broke' },
        next: rest[0] === 'elsewhere' || rest[0] === 'give_up' ? rest[0] : 'retry',
        ...(option('after') === undefined ? {} : { retry_after_ms: Number(option('after')!.slice(0, -1)) * 1000 }),
      },
    };
  if (second === 'hangs') return { kind: 'session_closed', session: sessionOf(first) };
  if (second === 'leaves') return { kind: 'deregister', to: to(first), force: third === 'now', reason: '' };
  throw new Error(`what does ${JSON.stringify(words)} mean?`);
}

const optionWords = new Set(['credit', 'as', 'having', 'levels', 'label', 'type', 'status', 'still']);

function specOf(id: string, operation: string, option: (name: string) => string | undefined): TaskSpec {
  const priority = option('priority') ?? '100';
  return {
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

function wordsOf(output: Output, nameOf: (session: number) => string): string | undefined {
  switch (output.kind) {
    case 'assign':
      return `${output.spec.id} to ${nameOf(output.session)} (${output.attempt})`;
    case 'cancel_attempt':
      return `${nameOf(output.session)} is told to drop ${output.id}#${output.attempt}`;
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
      const result = output.outcome.result as Record<string, unknown>;
      const one = (result.outcomes as Record<string, unknown>[] | undefined)?.[0] ?? result;
      if ('duplicate' in one)
        return `${one.id} ${one.duplicate === true ? 'was there: ' : ''}${one.state}${one.position === undefined ? '' : ` at ${one.position}`}${one.warning === undefined ? '' : ', nobody can'}`;
      if ('lost' in result)
        return (result.lost as unknown[]).length === 0
          ? undefined
          : `lost: ${(result.lost as { task_id: string }[]).map(({ task_id }) => task_id).join(' ')}`;
      if ('kept' in result)
        return (result.kept as unknown[]).length === 0
          ? undefined
          : `kept: ${(result.kept as { task_id: string }[]).map(({ task_id }) => task_id).join(' ')}`;
      return undefined;
    }
    default:
      return undefined;
  }
}
