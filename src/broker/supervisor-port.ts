/** What the broker needs of the supervisor of child processes. `src/supervisor` implements it. */

import type { CollectorView } from '../protocol/collector-schema.ts';
import type { Fault } from '../protocol/fault.ts';

export interface SupervisorPort {
  /** Whether a collector with this id is declared. */
  has(id: string): boolean;
  /** Undefined when it was started, else why not. */
  start(id: string): Fault | undefined;
  stop(id: string): Fault | undefined;
  /** The collector's session ended. */
  gone(id: string): void;
  /** The declared collectors that are not registered now, as rows; `registered` names those that are. */
  absent(registered: ReadonlySet<string>): CollectorView[];
}
