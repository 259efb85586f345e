/** What the broker publishes of itself: its status once a second, jumps of the wall clock, that it stops. */
import { encodePublish } from '../protocol/frame.ts';
import { statusTopic } from '../protocol/view-schema.ts';
import type { BrokerContext } from './broker-context.ts';
import { ClockWatch } from './clock-watch.ts';
import { snapshot } from './snapshot.ts';

export class Announcements {
  readonly #broker: BrokerContext;
  readonly #clockWatch: ClockWatch;

  constructor(broker: BrokerContext) {
    this.#broker = broker;
    this.#clockWatch = new ClockWatch(broker.now(), ({ byMs, wallMs }) => {
      broker.log.warn({ component: 'clock', by_ms: byMs }, 'the wall clock jumped');
      this.#publish('control.broker.clock', { by_ms: byMs, at_ms: wallMs });
    });
  }

  everySecond(): void {
    const broker = this.#broker;
    this.#clockWatch.look(broker.now());
    if (!broker.relay.hasSubscribers(statusTopic)) return;
    broker.enqueue({ kind: 'publish', topic: statusTopic, read: (state, now) => snapshot(broker, state, now) });
  }

  stopping(): void {
    this.#publish('control.broker.shutdown', { grace_ms: this.#broker.limits.stopGraceMs });
  }

  #publish(topic: string, body: unknown): void {
    const { relay } = this.#broker;
    if (relay.hasSubscribers(topic)) relay.publish(topic, encodePublish(topic, body));
  }
}
