/**
 * Random sequences of inputs against a small model of the core: who gets which task, in which order, and what each
 * reply is. A failure prints its seed and the shortest sequence that fast-check finds; DEYE_SEED repeats
 * one, DEYE_SEQUENCES sets how many.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Input, Output } from '../../src/core/input.ts';
import { checkInvariants } from '../../src/core/invariants.ts';
import { newState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { isFault } from '../../src/protocol/fault.ts';
import { type Command, commands, limits, slots } from './commands.ts';
import { registrationOf, resultIn, specOf } from './harness.ts';
import { Model } from './model.ts';

/** The same of both, in words: assignments in their order, the rest in any. */
const compared = (words: readonly string[]) => ({
  assigned: words.filter((word) => word.startsWith('assign')),
  others: words.filter((word) => !word.startsWith('assign')).sort(),
});

class Both {
  readonly state = newState({ limits });
  readonly model = new Model(limits);
  readonly leases: { id: string; attempt: number; token: string; session: number }[] = [];
  readonly #sessions = Array.from({ length: slots }, (_, at) => at + 1);
  #nextSession = slots + 1;
  #now = 0;
  #tasks = 0;

  run({ command: one, afterMs }: { command: Command; afterMs: number }): void {
    this.#now += afterMs;
    const [input, modelled] = this.#translate(one);
    const out: Output[] = [];
    step(this.state, input, { monotonicMs: this.#now, wallMs: this.#now }, out);
    for (const output of out)
      if (output.kind === 'assign') {
        const { spec, attempt, token, session } = output;
        this.leases.unshift({ id: spec.id, attempt, token, session });
      }
    expect(compared(out.flatMap((output) => this.#wordOf(output, input)))).toEqual(
      compared(this.model.step(this.#now, modelled)),
    );
    checkInvariants(this.state);
  }

  /** The leases that are held, the latest first. */
  #held = () =>
    this.leases.filter(({ token }) =>
      this.model.tasks.some((task) => task.holder !== undefined && this.state.tasks.get(task.spec.id)?.token === token),
    );

  #taskId = (which: number): string => `t${Math.max(0, this.#tasks - 1 - which)}`;

  #translate(one: Command): [Input, () => void] {
    const { model } = this;
    const session = 'slot' in one ? this.#sessions[one.slot]! : 0;
    const to = { session, id: 'request' in one ? one.request : 9 };
    const among = 'live' in one && one.live ? this.#held() : this.leases;
    const lease = 'live' in one ? among[one.which % among.length] : undefined;
    const { id, attempt, token } = lease ?? { id: 't0', attempt: 0, token: 'none' };
    switch (one.kind) {
      case 'submit': {
        const specs = one.specs.map((change) => specOf(`t${this.#tasks++}`, change));
        if (one.again !== undefined) specs.push(specOf(this.#taskId(one.again)));
        return [{ kind: 'submit', to, specs, batch: true }, () => model.submit(specs)];
      }
      case 'cancel': {
        const task = this.#taskId(one.which);
        return [{ kind: 'cancel', to, id: task, reason: '' }, () => model.cancel(task)];
      }
      case 'register': {
        const registration = registrationOf(`c${one.as ?? one.slot}`, one.registration);
        return [{ kind: 'register', to, registration }, () => model.register(session, registration)];
      }
      case 'heartbeat': {
        const own = this.#held().filter((each) => each.session === session);
        const stale = one.stale === undefined ? [] : (this.leases[one.stale] ?? []);
        const leases = own.slice(one.leaves === 0 ? 1 : 0).concat(stale);
        const named = leases.map((each) => ({ task_id: each.id, token: each.token }));
        return [
          { kind: 'heartbeat', to, report: { leases: named, status: one.status, status_reason: '' } },
          () => model.heartbeat(session, leases, one.status),
        ];
      }
      case 'deregister':
        return [{ kind: 'deregister', to, force: one.force, reason: '' }, () => model.deregister(session, one.force)];
      case 'session_closed':
        this.#sessions[one.slot] = this.#nextSession++;
        return [{ kind: 'session_closed', session }, () => model.close(session)];
      case 'bytes_read':
        return [{ kind: 'bytes_read', session, bytes: one.bytes }, () => model.bytesRead(session, one.bytes)];
      case 'complete': {
        const by = one.by === undefined ? (lease?.session ?? 0) : this.#sessions[one.by]!;
        return [
          { kind: 'complete', to: { ...to, session: by }, taskId: id, token, result: undefined },
          () => model.complete(by, id, attempt),
        ];
      }
      case 'fail': {
        const by = lease?.session ?? 0;
        const error = { code: 'oops', message: 'it broke' };
        const failure = { task_id: id, token, error, next: one.next, retry_after_ms: one.afterMs };
        return [
          { kind: 'fail', to: { ...to, session: by }, failure },
          () => model.fail(by, id, attempt, one.next, one.afterMs),
        ];
      }
      case 'wait': {
        const task = this.#taskId(one.which);
        return [
          { kind: 'wait', to, id: task, include: [], timeoutMs: one.timeoutMs },
          () => model.wait(session, one.request, task, one.timeoutMs),
        ];
      }
      case 'cancel_wait':
        return [{ kind: 'cancel_wait', to }, () => model.cancelWait(session, one.request)];
      case 'route':
        return [{ ...one, to }, () => model.route(one.strategy, one.operation)];
      case 'tick':
        return [one, () => {}];
    }
  }

  #wordOf(output: Output, input: Input): string[] {
    switch (output.kind) {
      case 'assign':
        return [`assign ${output.spec.id}#${output.attempt} to ${output.topic.split('.').at(-1)}`];
      case 'cancel_attempt': {
        const { attempt } = this.leases.find(({ token }) => token === output.token)!;
        return [`cancel ${output.id}#${attempt} at ${output.topic.split('.').at(-1)}`];
      }
      case 'ended':
        return [`ended ${output.id} for ${output.to.session}.${output.to.id}`];
      case 'collector_changed':
        return output.status === 'gone' ? [`gone ${output.id}`] : [];
      case 'reply':
        return [`reply ${isFault(output.outcome) ? output.outcome.code : resultWord(input, resultIn(output.outcome))}`];
      default:
        return [];
    }
  }
}

function resultWord(input: Input, result: unknown): string {
  const of = result as Record<string, unknown>;
  switch (input.kind) {
    case 'submit':
      return (of.outcomes as Record<string, unknown>[])
        .map((one) => {
          if (isFault(one)) return one.code;
          if (one.duplicate === true) return `${one.id} was ${one.state}`;
          if (one.state === 'in_progress') return `${one.id} to ${one.collector_id}`;
          return `${one.id} at ${one.position}${one.warning === undefined ? '' : ' unservable'}`;
        })
        .join(', ');
    case 'heartbeat':
      return `lost ${(of.lost as { task_id: string }[]).map(({ task_id }) => task_id).join(' ')}`;
    case 'deregister':
      return `holds ${of.tasks_in_progress}`;
    case 'register':
      return 'registered';
    case 'complete':
      return 'completed';
    case 'route':
      return 'routed';
    default:
      return String(of.state);
  }
}

const sequences = Number(process.env.DEYE_SEQUENCES ?? 2000);

test('each gives what the model gives', () => {
  const totals = { assigned: 0, completed: 0, requeued: 0, retried: 0, deadLetters: 0 };
  fc.assert(
    fc.property(commands, (sequence) => {
      const both = new Both();
      for (const one of sequence) both.run(one);
      const { state, model } = both;
      expect(state.totals).toMatchObject(model.totals);
      expect([...state.tasks.keys()]).toEqual(model.tasks.map(({ spec }) => spec.id));
      totals.assigned += state.totals.assigned;
      totals.completed += state.totals.completed;
      totals.requeued += state.totals.requeued;
      totals.retried += state.totals.retried;
      totals.deadLetters += state.totals.dead_lettered;
    }),
    { numRuns: sequences, seed: Number(process.env.DEYE_SEED ?? 1) },
  );
  // The sequences go everywhere.
  for (const count of Object.values(totals)) expect(count).toBeGreaterThan(sequences / 4);
});
