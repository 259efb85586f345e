/** The entry point of the core: `step` applies one input at one moment and pushes what follows from it. */
import type { Now } from '../time/now.ts';
import { attemptDue, backoffOver, complete, failed } from './attempt.ts';
import { bodyDamaged } from './body-damaged.ts';
import { dispatch } from './dispatch.ts';
import { expire } from './expire.ts';
import { type Input, type Output, reply } from './input.ts';
import { isInProgress } from './lease.ts';
import { type Facts, noFacts } from './prefetch.ts';
import { prune } from './prune.ts';
import { bytesRead, deregister, heartbeat, register, removeDrained, sessionClosed, setUnread } from './registry.ts';
import { route } from './route.ts';
import { silenceDue } from './silence.ts';
import { type CoreState, countWritten, stepBytes } from './state.ts';
import { cancel, submit } from './submit.ts';
import { cancelWait, wait, waitDue } from './wait.ts';

type Handler<K extends Input['kind']> = (
  state: CoreState,
  input: Extract<Input, { kind: K }>,
  now: Now,
  out: Output[],
  facts: Facts,
) => void;

const handlers: { readonly [K in Input['kind']]: Handler<K> } = {
  submit,
  cancel,
  complete,
  fail: failed,
  register,
  heartbeat,
  deregister,
  wait,
  route,
  read: (state, { to, read }, now, out) => void out.push(reply(to, read(state, now))),
  settle: (_state, { run }, _now, out) => void out.push({ kind: 'settled', run }),
  publish: (state, { topic, read }, now, out) => void out.push({ kind: 'publish', topic, body: read(state, now) }),
  cancel_wait: (state, { to }, _now, out) => cancelWait(state, to, out),
  expire,
  bytes_read: (state, { session, bytes }) => bytesRead(state, session, bytes),
  unread: (state, { session, bytes }) => setUnread(state, session, bytes),
  body_damaged: bodyDamaged,
  session_closed: (state, { session }, now, out) => sessionClosed(state, session, now, out),
  stop: (state) => {
    state.stopping = true;
  },
  tick: () => {},
};

export function step(state: CoreState, input: Input, now: Now, out: Output[], facts: Facts = noFacts): void {
  state.written = 0;
  state.countedTo = out.length;
  (handlers[input.kind] as Handler<Input['kind']>)(state, input, now, out, facts);
  countWritten(state, out);
  if (state.frozen) return;
  const most = state.written + stepBytes;
  state.unfinished = false;
  const { deadlines } = state;
  for (let due = deadlines.popDue(now.monotonicMs); due !== undefined; due = deadlines.popDue(now.monotonicMs)) {
    if (due.due === 'collector') silenceDue(state, due, now, out);
    else if (due.due === 'waiter') waitDue(state, due, out);
    else if (isInProgress(due)) attemptDue(state, due, now, out);
    else backoffOver(state, due, now, out);
    countWritten(state, out);
    if (state.written <= most) continue;
    state.unfinished = true;
    return;
  }
  removeDrained(state, now, out);
  dispatch(state, now, out, most);
  prune(state, now);
}
