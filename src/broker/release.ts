/** From the core's words to frames: what leaves once its commit is durable. */
import type { Output } from '../core/state.ts';
import { fault } from '../protocol/fault.ts';
import { encodeFrameWith, encodePublish, encodeReply, Kind } from '../protocol/frame.ts';
import { encodeMapWith } from '../protocol/msgpack.ts';
import type { Attempt, TaskDetail } from '../protocol/schema.ts';
import type { StoredDetail } from '../store/port.ts';
import type { Broker } from './broker.ts';
import { summaryOf } from './task-view.ts';

export class Release {
  readonly #broker: Broker;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  outputs(outputs: readonly Output[]): void {
    for (const output of outputs) this.#one(output);
  }

  #one(output: Output): void {
    const { sessions, relay, log } = this.#broker;
    switch (output.kind) {
      case 'reply':
        sessions.get(output.to.session)?.send(encodeReply(output.to.id, output.outcome));
        return;
      case 'ended':
        void sendDetail(this.#broker, output.to.session, output.to.id, output.id);
        return;
      case 'assign': {
        const { spec, attempt, topic, leaseMs } = output;
        const fields = {
          kind: 'assign',
          task_id: spec.id,
          operation: spec.operation,
          attempt,
          priority: spec.priority,
          timeout_ms: spec.timeoutMs,
          lease_ms: leaseMs,
          metadata: spec.metadata,
          correlation: spec.correlation,
        };
        this.#toCollector(
          output.session,
          topic,
          encodeFrameWith([Kind.publish, topic], encodeMapWith(fields, { payload: spec.payload })),
        );
        return;
      }
      case 'cancel_attempt':
        this.#toCollector(
          output.session,
          output.topic,
          encodePublish(output.topic, {
            kind: 'cancel',
            task_id: output.id,
            attempt: output.attempt,
            reason: output.reason,
          }),
        );
        return;
      case 'task_moved': {
        const { spec, state, attempt, collectorId, strategy } = output;
        if (state === 'retrying' || state === 'dead_letter')
          log.warn(
            {
              component: 'task',
              task_id: spec.id,
              operation: spec.operation,
              attempt,
              correlation_id: spec.correlation.correlation_id,
            },
            state === 'retrying' ? 'an attempt failed; the task is tried again' : 'the task is a dead letter',
          );
        const topic = `tasks.lifecycle.${state}`;
        if (!relay.hasSubscribers(topic)) return;
        relay.publish(
          topic,
          encodePublish(topic, {
            task_id: spec.id,
            operation: spec.operation,
            state,
            attempt,
            collector_id: collectorId ?? null,
            strategy: strategy ?? null,
            correlation: spec.correlation,
          }),
        );
        return;
      }
      case 'collector_changed': {
        const { id, type, status, reason } = output;
        log.info({ component: 'collector', collector_id: id, status, reason }, `collector ${id} is ${status}`);
        if (status === 'gone') this.#broker.supervisor?.gone(id);
        const topic =
          status === 'gone' || reason === 'registered' ? 'control.collector.registration' : 'control.collector.status';
        if (relay.hasSubscribers(topic))
          relay.publish(topic, encodePublish(topic, { collector_id: id, collector_type: type, status, reason }));
      }
    }
  }

  /** The collector itself gets the frame without having subscribed; anybody else who listens sees routing happen. */
  #toCollector(session: number, topic: string, frame: Buffer): void {
    const { sessions, relay } = this.#broker;
    sessions.get(session)?.send(frame);
    if (relay.hasSubscribers(topic)) relay.publish(topic, frame, session);
  }
}

/** Answers a request with one task, read from the store, its payload and result byte for byte as they came. */
export async function sendDetail(broker: Broker, session: number, request: number, id: string): Promise<void> {
  let stored: StoredDetail | undefined;
  try {
    stored = await broker.store.show(id);
  } catch (error) {
    broker.errors++;
    broker.log.error({ component: 'store', task_id: id, err: error }, 'a task could not be read');
    broker.sessions
      .get(session)
      ?.send(encodeReply(request, fault('store_failed', `Task ${id} cannot be read: ${(error as Error).message}`)));
    return;
  }
  const to = broker.sessions.get(session);
  if (stored === undefined) {
    to?.send(encodeReply(request, fault('not_found', `There is no task ${id}.`, { id })));
    return;
  }
  to?.send(
    encodeFrameWith(
      [Kind.reply, request, 0],
      encodeMapWith(detailOf(stored), { payload: stored.spec.payload, result: stored.result }),
    ),
  );
}

function detailOf(stored: StoredDetail): Omit<TaskDetail, 'payload' | 'result'> {
  const { spec } = stored;
  const attempts: Attempt[] = stored.attempts.map((each) => ({
    attempt: each.attempt,
    collector_id: each.collectorId,
    started_at_ms: Math.round(each.startedAtMs),
    ended_at_ms: Math.round(each.endedAtMs),
    outcome: each.outcome,
    ...(each.error === undefined ? {} : { error: each.error }),
  }));
  return {
    ...summaryOf(stored),
    requires: [...spec.requires],
    labels: { ...spec.labels },
    ...(spec.collectorType === undefined ? {} : { collector_type: spec.collectorType }),
    timeout_ms: spec.timeoutMs,
    metadata: { ...spec.metadata },
    correlation: spec.correlation,
    attempts,
  };
}
