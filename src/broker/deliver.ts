/** From the core's outputs to frames: what leaves once its commit is durable. */
import type { Logger } from 'pino';
import { isAbsent } from '../core/body.ts';
import { noRequest } from '../core/carry-over.ts';
import type { Output } from '../core/input.ts';
import { encodeFrameWith, encodePublish, Kind } from '../protocol/frame.ts';
import { encodeMapWith } from '../protocol/msgpack.ts';
import type { Relay } from '../relay/relay.ts';
import type { Sessions } from './sessions.ts';
import type { TaskReads } from './task-reads.ts';

interface DeliverOptions {
  readonly sessions: Sessions;
  readonly relay: Relay;
  readonly reads: TaskReads;
  readonly log: Logger;
  /** A collector is no longer registered. */
  readonly collectorGone: (id: string) => void;
}

type Of<K extends Output['kind']> = Extract<Output, { kind: K }>;

export class Deliver {
  readonly #options: DeliverOptions;

  constructor(options: DeliverOptions) {
    this.#options = options;
  }

  outputs(outputs: readonly Output[]): void {
    for (const output of outputs) this.#one(output);
  }

  #one(output: Output): void {
    const { sessions, reads } = this.#options;
    switch (output.kind) {
      case 'record':
        return; // the turn has committed it
      case 'reply':
        if (output.to.id !== noRequest) sessions.get(output.to.session)?.reply(output.to, output.outcome);
        return;
      case 'publish':
        return this.#publish(output);
      case 'settled':
        return output.run();
      case 'ended':
        return reads.ended(output.to, output.id, output.include);
      case 'assign':
        return this.#assign(output);
      case 'cancel_attempt': {
        const { session, topic, id, token, reason } = output;
        return this.#toCollector(session, topic, encodePublish(topic, { kind: 'cancel', task_id: id, token, reason }));
      }
      case 'registered':
        return this.#registered(output);
      case 'task_moved':
        return this.#taskMoved(output);
      case 'collector_changed':
        return this.#collectorChanged(output);
    }
  }

  /** What fits no frame is not published; a request for the same is refused with `reply_too_large`. */
  #publish({ topic, body }: Of<'publish'>): void {
    const { log, relay } = this.#options;
    const frame = encodePublish(topic, body);
    const bytes = frame.length - 4;
    if (bytes <= relay.limits.frameBytesMax) relay.publish(topic, frame);
    else log.warn({ component: 'relay', topic, bytes }, 'a message of the broker fits no frame and was not published');
  }

  /** What could not be read back is not sent: the core hears of it. */
  #assign({ session, topic, spec, payload, attempt, token, leaseMs }: Of<'assign'>): void {
    if (isAbsent(payload)) return;
    const fields = {
      kind: 'assign',
      task_id: spec.id,
      operation: spec.operation,
      attempt,
      token,
      priority: spec.priority,
      timeout_ms: spec.timeoutMs,
      lease_ms: leaseMs,
      metadata: spec.metadata,
      correlation: spec.correlation,
    };
    const body = encodeMapWith(fields, { payload });
    const to = this.#options.sessions.get(session);
    if (to !== undefined) to.assignedBytes += payload.length;
    this.#toCollector(session, topic, encodeFrameWith([Kind.publish, topic], body));
  }

  #registered({ session, registration }: Of<'registered'>): void {
    const to = this.#options.sessions.get(session);
    if (to === undefined) return;
    const { collector_id: collectorId, event_domains } = registration;
    to.principal = { ...to.principal, collectorId, eventDomains: new Set(event_domains) };
  }

  #taskMoved({ spec, state, attempt, collectorId, strategy }: Of<'task_moved'>): void {
    const { log, relay } = this.#options;
    const { id, operation, correlation } = spec;
    if (state === 'retrying' || state === 'dead_letter') {
      const about = { task_id: id, operation, attempt, correlation_id: correlation.correlation_id };
      const what = state === 'retrying' ? 'an attempt failed; the task is retried' : 'the task is a dead letter';
      log.warn({ component: 'task', ...about }, what);
    }
    const topic = `tasks.lifecycle.${state}`;
    if (!relay.hasSubscribers(topic)) return;
    const body = { task_id: id, operation, state, attempt, collector_id: collectorId ?? null, correlation };
    relay.publish(topic, encodePublish(topic, { ...body, strategy: strategy ?? null }));
  }

  #collectorChanged({ id, type, status, reason }: Of<'collector_changed'>): void {
    const { log, relay } = this.#options;
    log.info({ component: 'collector', collector_id: id, status, reason }, `collector ${id} is ${status}`);
    if (status === 'gone') this.#gone(id);
    const topic =
      status === 'gone' || reason === 'registered' ? 'control.collector.registration' : 'control.collector.status';
    if (!relay.hasSubscribers(topic)) return;
    relay.publish(topic, encodePublish(topic, { collector_id: id, collector_type: type, status, reason }));
  }

  /** Its session may live on, without an id. */
  #gone(id: string): void {
    const { sessions, collectorGone } = this.#options;
    for (const session of sessions)
      if (session.principal.collectorId === id)
        session.principal = { ...session.principal, collectorId: undefined, eventDomains: new Set() };
    collectorGone(id);
  }

  /** The collector itself gets the frame without having subscribed; other subscribers of the topic see routing happen. */
  #toCollector(session: number, topic: string, frame: Buffer): void {
    const { sessions, relay } = this.#options;
    sessions.get(session)?.send(frame);
    if (relay.hasSubscribers(topic)) relay.publish(topic, frame, session);
  }
}
