/** The heartbeats of a collector: sent by a timer whatever the handlers do, they report the process and renew leases. */
import type { Heartbeat } from '../protocol/collector-schema.ts';

/** The part of a heartbeat that describes the process. */
type Usage = Required<Pick<Heartbeat, 'cpu_percent' | 'rss_bytes'>>;

export class HeartbeatTimer {
  /** When the broker last answered one. */
  answeredAtMs = Date.now();
  readonly #send: (usage: Usage) => Promise<boolean>;
  #timer: NodeJS.Timeout | undefined;
  #cpu = process.cpuUsage();
  #cpuAtMs = performance.now();

  /** `send` resolves with whether the broker answered. */
  constructor(send: (usage: Usage) => Promise<boolean>) {
    this.#send = send;
  }

  start(intervalMs: number): void {
    this.stop();
    // A little early, so that a busy moment does not make it late.
    this.#timer = setInterval(() => void this.beat(), intervalMs * 0.8);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Sends one now, unless the timer does not run: the registration, which starts it, reports the same. */
  async beat(): Promise<void> {
    if (this.#timer === undefined) return;
    if (await this.#send(this.#usage())) this.answeredAtMs = Date.now();
  }

  /** Since the last one. */
  #usage(): Usage {
    const nowMs = performance.now();
    const { user, system } = process.cpuUsage(this.#cpu);
    const cpu_percent = ((user + system) / 1000 / Math.max(1, nowMs - this.#cpuAtMs)) * 100;
    this.#cpu = process.cpuUsage();
    this.#cpuAtMs = nowMs;
    return { cpu_percent, rss_bytes: process.memoryUsage.rss() };
  }
}
