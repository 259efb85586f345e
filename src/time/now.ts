/** A moment, as an argument: spans are measured in monotonic time, instants are shown in wall time. */
export interface Now {
  /** Only ever grows; its zero means nothing. Leases, timeouts, backoffs, graces. */
  readonly monotonicMs: number;
  /** Milliseconds since the epoch; may jump either way. Ids, records, what people see. */
  readonly wallMs: number;
}
