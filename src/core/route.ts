/** Choosing the placement, for the broker or for one operation. Remembered as a setting. */
import { fault } from '../protocol/fault.ts';
import type { Now } from '../time/now.ts';
import { type Input, type Output, reply } from './input.ts';
import { fileOperation, operationOf, operationsFull } from './operation.ts';
import { placements } from './placement.ts';
import { strategyKey } from './recover.ts';
import type { CoreState } from './state.ts';
import { defaultNamespace } from './task.ts';
import { routingView } from './view.ts';

export function route(state: CoreState, input: Extract<Input, { kind: 'route' }>, _now: Now, out: Output[]): void {
  const { to, strategy, operation: name } = input;
  const { operations, limits } = state;
  if (!placements.has(strategy)) {
    const known = [...placements.keys()];
    const message = `There is no strategy "${strategy}". There are: ${known.join(', ')}.`;
    out.push(reply(to, fault('invalid_params', message, { strategies: known })));
    return;
  }
  if (name !== undefined && operationsFull(operations, name, limits)) {
    const message = `${limits.operationsMax} operations have tasks or settings already, the limit.`;
    out.push(reply(to, fault('too_many_operations', message, { limit: limits.operationsMax })));
    return;
  }
  if (name === undefined) state.strategy = strategy;
  else {
    const operation = operationOf(operations, name);
    operation.strategy = strategy;
    fileOperation(operations, operation);
  }
  const key = name === undefined ? strategyKey : `${strategyKey}.${name}`;
  out.push({ kind: 'record', record: { kind: 'setting', namespace: defaultNamespace, key, value: strategy } });
  out.push(reply(to, { result: routingView(state) }));
}
