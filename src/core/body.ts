/**
 * The payload of a task: its bytes, or how many there are, when they are in the store only. The store puts the one for the
 * other once they are safe and memory holds enough; they are read back before the task is handed out.
 */
import assert from 'node:assert/strict';

interface AbsentBody {
  readonly length: number;
  readonly absent: true;
}

export type Body = Uint8Array | AbsentBody;

export const isAbsent = (body: Body): body is AbsentBody => 'absent' in body;

export const absentBody = (length: number): AbsentBody => ({ length, absent: true });

/** The bytes, where they cannot be absent. */
export function present(body: Body): Uint8Array {
  assert(!isAbsent(body), 'a payload is not in memory');
  return body;
}

/** Why a task whose payload the disk has lost is a dead letter. */
export const bodyDamagedError = {
  code: 'body_damaged',
  message: 'The payload was damaged on the disk and is lost.',
};
