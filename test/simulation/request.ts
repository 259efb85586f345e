/** A request in flight, and what became of it. */

export interface Request {
  readonly target: string;
  readonly method: string;
  readonly params: unknown;
  readonly timeoutMs: number;
  readonly then: ((outcome: RequestOutcome) => void) | undefined;
  /** Of a call: what every part of its answer must carry. */
  readonly mark?: number;
  chunks: number;
  /** Whether the broker has written the reply. */
  isReplied: boolean;
}

export type RequestOutcome =
  | { readonly ok: true; readonly result: Fields }
  | { readonly ok: false; readonly code: string; readonly context: Fields };

/** A map that was decoded. */
export type Fields = Readonly<Record<string, unknown>>;

export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

export const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);

export function outcomeOf(status: unknown, body: unknown): RequestOutcome {
  const fields = fieldsOf(body);
  return status === 0
    ? { ok: true, result: fields }
    : { ok: false, code: String(fields.code), context: fieldsOf(fields.context) };
}
