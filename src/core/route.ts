/** Choosing the placement, for the broker or for one operation. Remembered as a setting. */
import { fault } from '../protocol/fault.ts';
import type { Now } from '../time/now.ts';
import { type Input, type Output, reply } from './input.ts';
import { fileOperation, operationOf, operationsFull } from './operation.ts';
import { placements } from './placement.ts';
import { strategyKey } from './recover.ts';
import type { CoreState } from './state.ts';
import { defaultNamespace } from './task.ts';

/** In place of a strategy: the operation has none of its own any more. */
const resetStrategy = 'default';

export function route(state: CoreState, input: Extract<Input, { kind: 'route' }>, _now: Now, out: Output[]): void {
  const { to, strategy, operation: name } = input;
  const { operations, limits } = state;
  const isReset = name !== undefined && strategy === resetStrategy;
  if (!placements.has(strategy) && !isReset) {
    const known = [...placements.keys(), ...(name === undefined ? [] : [resetStrategy])];
    const message = `There is no strategy "${strategy}". There are: ${known.join(', ')}.`;
    out.push(reply(to, fault('invalid_params', message, { strategies: known })));
    return;
  }
  if (name !== undefined && !isReset && operationsFull(operations, name, limits)) {
    const message = `${limits.operationsMax} operations have tasks or settings already, the limit. Set "${resetStrategy}" for one to free its place.`;
    out.push(reply(to, fault('too_many_operations', message, { limit: limits.operationsMax })));
    return;
  }
  if (name === undefined) state.strategy = strategy;
  else {
    const operation = operationOf(operations, name);
    operation.strategy = isReset ? undefined : strategy;
    fileOperation(operations, operation);
  }
  const key = name === undefined ? strategyKey : `${strategyKey}.${name}`;
  out.push({
    kind: 'record',
    record: { kind: 'setting', namespace: defaultNamespace, key, value: isReset ? undefined : strategy },
  });
  const inForce = isReset ? state.strategy : strategy;
  out.push(reply(to, { result: { strategy: inForce, ...(name === undefined ? {} : { operation: name }) } }));
}
