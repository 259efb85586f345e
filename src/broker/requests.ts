/** One request that is addressed to the broker: known, allowed, well-formed, then handled. */
import { z } from 'zod';
import type { ReplyTo } from '../core/input.ts';
import { authorise } from '../protocol/access.ts';
import { type Fault, fault, isFault } from '../protocol/fault.ts';
import { type Method, methodTable } from '../protocol/message.ts';
import { decodeParams } from '../protocol/params.ts';
import type { RequestHead } from '../protocol/request.ts';
import type { BrokerContext } from './broker-context.ts';
import { type Handler, handlers, type RequestContext } from './handlers.ts';
import type { Session } from './session.ts';
import { paramsFault } from './submit-params.ts';

const validators = Object.fromEntries(
  Object.entries(methodTable).map(([name, { params }]) => [name, z.compile(params as z.ZodType)]),
) as Record<Method, z.ZodType>;

const isMethod = (name: string): name is Method => Object.hasOwn(methodTable, name);

export function handleRequest(broker: BrokerContext, session: Session, head: RequestHead, bytes: Buffer): void {
  const isDurable = isMethod(head.method) && methodTable[head.method].durable;
  const to = { session: session.id, id: head.id, ...(isDurable && { sync: broker.sync }) };
  const inUse = broker.calls.isMade(session.id, head.id) || session.backlog.has(head.id);
  const outcome = inUse ? idInUse(head.id) : answerTo(broker, session, to, head, bytes);
  if (outcome !== undefined) session.reply(to, outcome);
  else session.backlog.add(to, head.method === 'task.wait' ? 0 : head.paramsEnd - head.paramsStart); // waits have a limit of their own
}

/** The id names another request of the session that is not answered yet, whatever its method. */
export const idInUse = (id: number): Fault<'invalid_params'> =>
  fault('invalid_params', `Request id ${id} is in use by another request in flight.`, { id });

/** Undefined when the answer comes later. */
function answerTo(
  broker: BrokerContext,
  session: Session,
  to: ReplyTo,
  head: RequestHead,
  bytes: Buffer,
): Fault | { readonly result: unknown } | undefined {
  const { method } = head;
  if (!isMethod(method)) return unknownMethod(method.slice(0, 80));
  const { principal } = session;
  const denial = authorise(principal, { action: 'request', method });
  if (denial !== undefined) return denial;
  const decoded = decodeParams(bytes, head);
  if (decoded === undefined)
    return fault('invalid_params', `${method}: params: more than ${broker.limits.paramsEntriesMax} entries`, {
      limit: broker.limits.paramsEntriesMax,
    });
  const params = validators[method].safeParse(decoded.given);
  if (!params.success) return paramsFault(method, params.error);
  const request = {
    broker,
    session,
    principal,
    to,
    params: params.data,
    bodies: decoded.bodies,
    timeoutMs: head.timeoutMs || broker.limits.callMsDefault,
  };
  const outcome = (handlers[method] as Handler<Method>)(request as RequestContext<Method>);
  return outcome === undefined ? undefined : isFault(outcome) ? outcome : { result: outcome };
}

function unknownMethod(method: string): Fault {
  // The broker's own methods have a noun in front: broker.health, task.submit.
  const like = Object.keys(methodTable).find(
    (name) => name.split('.')[1] === method || name === `broker.${method.split('_')[0]}`,
  );
  const hint = like === undefined ? 'broker.capabilities lists what it has.' : `Did you mean ${like}?`;
  return fault('unsupported_operation', `The broker has no method "${method}". ${hint}`, { method });
}
