/** The head of a request, read straight from its bytes. The params are checked for their form and not decoded. */
import { readId, readText, readUint } from './frame.ts';
import { skipValue } from './msgpack.ts';

export interface RequestHead {
  readonly id: number;
  readonly target: string;
  readonly method: string;
  readonly paramsStart: number;
  readonly paramsEnd: number;
  /** 0 when the caller named none. */
  readonly timeoutMs: number;
}

/** Throws MalformedError when the frame is no request. */
export function readRequest(bytes: Buffer, start: number, end: number): RequestHead {
  const id = readId(bytes, start, end);
  const { text: target, after: afterTarget } = readText(bytes, start + 11, end);
  const { text: method, after: paramsStart } = readText(bytes, afterTarget, end);
  const paramsEnd = skipValue(bytes, paramsStart, end);
  const timeoutMs = paramsEnd < end ? readUint(bytes, paramsEnd, end).value : 0;
  return { id, target, method, paramsStart, paramsEnd, timeoutMs };
}
