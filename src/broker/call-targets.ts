/** Calls from session to session: which session a target means, and the refusal when there is none. */
import type { Collector } from '../core/collector.ts';
import { mismatch } from '../core/match.ts';
import { authorise } from '../protocol/access.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import type { RequestHead } from '../protocol/request.ts';
import type { Health } from '../protocol/view-schema.ts';
import type { Calls } from '../relay/calls.ts';
import type { Now } from '../time/now.ts';
import { idInUse } from './requests.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import type { Core } from './turn.ts';

interface CallTargetsOptions {
  readonly core: Core;
  readonly sessions: Sessions;
  readonly calls: Calls;
  readonly now: () => Now;
}

const anyPrefix = 'any:';

export class CallTargets {
  readonly #options: CallTargetsOptions;

  constructor(options: CallTargetsOptions) {
    this.#options = options;
  }

  /** The session of a registered collector. */
  session(collectorId: string): Session | undefined {
    const { core, sessions } = this.#options;
    const collector = core.state.collectors.get(collectorId);
    return collector === undefined ? undefined : sessions.get(collector.session);
  }

  /** Forwards the request, or returns what is answered at once. */
  forward(
    caller: Session,
    head: RequestHead,
    bytes: Buffer,
    start: number,
    end: number,
  ): Fault | { readonly result: Health } | undefined {
    const { calls, now } = this.#options;
    const { id, target, method } = head;
    if (caller.backlog.has(id)) return idInUse(id);
    const denial = authorise(caller.principal, { action: 'call', target, method });
    if (denial !== undefined) return denial;
    const any = target.startsWith(anyPrefix) ? target.slice(anyPrefix.length) : undefined;
    const callee = any === undefined ? this.session(target) : this.#anyFor(any);
    if (callee !== undefined)
      return calls.forward(bytes, start, end, head, caller.peer, callee.peer, now().monotonicMs);
    if (any !== undefined)
      return fault('no_capable_collector', `No healthy collector offers ${any.slice(0, 80)} now.`, { target });
    if (method === 'health_check') return { result: unknownHealth(target, now().wallMs) };
    return fault('not_found', `There is no collector "${target.slice(0, 80)}". See: deye collectors ls`, { target });
  }

  /** The least loaded healthy collector that offers the operation. A call takes no credit. */
  #anyFor(operation: string): Session | undefined {
    const { core, sessions } = this.#options;
    const demand = {
      operation: { name: operation },
      requires: [],
      labels: {},
      collectorType: undefined,
      collectorId: undefined,
      excluded: [],
    };
    let best: Collector | undefined;
    for (const collector of core.state.collectors.values()) {
      if (collector.status !== 'healthy' || mismatch(collector, demand) !== undefined) continue;
      const lessLoaded = best === undefined || collector.tasks.size < best.tasks.size;
      if (lessLoaded || (collector.tasks.size === best?.tasks.size && collector.id < best.id)) best = collector;
    }
    return best === undefined ? undefined : sessions.get(best.session);
  }
}

/** The health of what is not there is an answer, not an error. */
const unknownHealth = (target: string, wallMs: number): Health => ({
  status: 'unhealthy',
  uptime_seconds: 0,
  components: {
    [target]: { status: 'unknown', message: 'no such collector is connected', last_check_at_ms: wallMs },
  },
  metrics: {},
  error_count: 0,
  last_heartbeat_at_ms: null,
});
