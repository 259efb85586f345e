/** The one door of the core: `step` applies one input at one moment and pushes what follows from it. */
import { attemptDue, backoffOver, complete, failed } from './attempt.ts';
import { dispatch, strategyFor } from './dispatch.ts';
import { deregister, heartbeat, register, removeDrained, sessionClosed, silenceDue } from './registry.ts';
import type { CoreState, Input, Output } from './state.ts';
import { cancel, cancelWait, submit, wait, waitDue } from './submit.ts';
import { routingView } from './view.ts';

type Handler<K extends Input['kind']> = (
  state: CoreState,
  input: Extract<Input, { kind: K }>,
  nowMs: number,
  out: Output[],
) => void;

const handlers = {
  submit,
  cancel,
  complete,
  fail: failed,
  register,
  heartbeat,
  deregister,
  wait: (state, input, _nowMs, out) => wait(state, input, out),
  cancel_wait: (state, input) => cancelWait(state, input.to),
  session_closed: (state, input, nowMs, out) => sessionClosed(state, input.session, nowMs, out),
  route: (state, input, _nowMs, out) => {
    const { operation, strategy, to } = input;
    if (operation === undefined) state.strategy = strategy;
    else state.strategyByOperation.set(operation, strategy);
    const key = operation === undefined ? 'routing.strategy' : `routing.strategy.${operation}`;
    out.push({
      kind: 'record',
      record: { kind: 'setting', key, value: operation === undefined ? strategy : strategyFor(state, operation) },
    });
    out.push({ kind: 'reply', to, outcome: { result: routingView(state) } });
  },
  stop: (state) => {
    state.stopping = true;
  },
  tick: () => {},
} satisfies { [K in Input['kind']]: Handler<K> };

export function step(state: CoreState, input: Input, nowMs: number, out: Output[]): void {
  (handlers[input.kind] as Handler<Input['kind']>)(state, input as never, nowMs, out);
  for (let due = state.deadlines.popDue(nowMs); due !== undefined; due = state.deadlines.popDue(nowMs)) {
    if (due.due === 'collector') silenceDue(state, due, nowMs, out);
    else if (due.due === 'waiter') waitDue(state, due, out);
    else if (due.phase.state === 'retrying') backoffOver(state, due, nowMs, out);
    else attemptDue(state, due, nowMs, out);
  }
  removeDrained(state, nowMs, out);
  dispatch(state, nowMs, out);
}
