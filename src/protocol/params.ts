/**
 * The params of a request to the broker, decoded without the bodies in them: a payload or a result may hold millions
 * of values, which the broker never decodes, and validating a map of millions of keys would block the event loop.
 */
import { limitTable } from './limits.ts';
import { decodeValue, elementBytes, encodeValue, entriesOf, fieldBytes } from './msgpack.ts';
import type { RequestHead } from './request.ts';

/** The encoded bodies that params hold, as views; finding them is a walk over all of them, so it is done once. */
export type Bodies = readonly (Buffer | undefined)[];

/** Where bodies stand in the params of the methods that carry them: of a batch one per task. */
const bodies: Readonly<Record<string, (params: Buffer) => Bodies>> = {
  'task.submit': (params) => [fieldBytes(params, 0, 'payload')],
  'task.complete': (params) => [fieldBytes(params, 0, 'result')],
  'task.submit_batch': (params) => {
    const tasks = fieldBytes(params, 0, 'tasks');
    return tasks === undefined ? [] : elementBytes(tasks).map((task) => fieldBytes(task, 0, 'payload'));
  },
};

const entriesMax = limitTable.paramsEntriesMax.value;
const nil = encodeValue(null);

interface DecodedParams {
  /** With nil where the bodies stood. */
  readonly given: unknown;
  readonly bodies: Bodies;
}

/** Undefined when they hold too many entries. The params were checked when the head was read. */
export function decodeParams(
  bytes: Buffer,
  { method, paramsStart, paramsEnd }: RequestHead,
): DecodedParams | undefined {
  const params = bytes.subarray(paramsStart, paramsEnd);
  const found = Object.hasOwn(bodies, method) ? bodies[method]!(params) : [];
  const parts: Buffer[] = [];
  let from = 0;
  for (const body of found) {
    if (body === undefined) continue;
    const at = body.byteOffset - params.byteOffset;
    if (at < from) continue; // of a key that stands twice only the last one counts
    parts.push(params.subarray(from, at), nil);
    from = at + body.length;
  }
  parts.push(params.subarray(from));
  const rest = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  return entriesOf(rest, entriesMax) > entriesMax ? undefined : { given: decodeValue(rest) ?? {}, bodies: found };
}
