/** The head of a request, read straight from its bytes. The params are checked for their form and not decoded. */
import { readId, readText, readUint } from './frame.ts';
import { MalformedError, skipValue } from './msgpack.ts';

export interface RequestHead {
  readonly id: number;
  readonly target: string;
  readonly method: string;
  readonly paramsStart: number;
  readonly paramsEnd: number;
  /** 0 when the caller named none. */
  readonly timeoutMs: number;
}

/** Kind, id, target, method and params. */
const elementsLeast = 5;

/** Throws MalformedError when the frame is no request. */
export function readRequest(bytes: Buffer, start: number, end: number): RequestHead {
  const id = readId(bytes, start, end);
  const { text: target, after: afterTarget } = readText(bytes, start + 11, end);
  const { text: method, after: paramsStart } = readText(bytes, afterTarget, end);
  const paramsEnd = skipValue(bytes, paramsStart, end);
  const elements = bytes[start + 4]! & 0x0f;
  let timeoutMs = 0;
  let at = paramsEnd;
  if (elements > elementsLeast) ({ value: timeoutMs, after: at } = readUint(bytes, at, end));
  for (let more = elements - elementsLeast - 1; more > 0; more--) at = skipValue(bytes, at, end);
  if (elements < elementsLeast || at !== end)
    throw new MalformedError('a request has at least params, and ends with the last element that it declares');
  return { id, target, method, paramsStart, paramsEnd, timeoutMs };
}
