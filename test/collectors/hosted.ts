/** A collector under a broker that a test plays: registered, given tasks, and called; its answers held against the table. */

import type { CollectorDefinition } from '../../src/collector/define.ts';
import { defineCollector } from '../../src/collector/define.ts';
import type { RunOptions } from '../../src/collector/run.ts';
import { type CollectorMethod, collectorMethods } from '../../src/protocol/collector-method.ts';
import { registrationSchema } from '../../src/protocol/collector-schema.ts';
import { Kind } from '../../src/protocol/frame.ts';
import { faultSchema, type Lease } from '../../src/protocol/schema.ts';
import { FakeBroker, type FakeConnection, type ReceivedRequest } from '../client/fake-broker.ts';

export class Hosted implements AsyncDisposable {
  readonly broker = new FakeBroker();
  readonly running: Promise<void>;
  readonly #stop = new AbortController();
  #callId = 70_000;

  constructor(definition: Partial<CollectorDefinition>, options: RunOptions = {}) {
    this.running = defineCollector({ type: 't', operations: { work: () => 'done' }, ...definition }).run({
      transport: this.broker.transport,
      id: 'c',
      signals: false,
      signal: this.#stop.signal,
      ...options,
    });
    this.running.catch(() => {}); // whoever expects a failure looks at it
  }

  /** Lets it register on its connection with this number; heartbeats are answered from then on. */
  async registered(at = 0, reclaimed: readonly Lease[] = []): Promise<FakeConnection> {
    const peer = await this.broker.connection(at);
    acceptRegistration(peer, await peer.request('collector.register'), reclaimed);
    const answerHeartbeats = async () => {
      for (;;) peer.reply(await peer.request('collector.heartbeat'), { lost: [] });
    };
    answerHeartbeats().catch(() => {}); // until the connection ends
    return peer;
  }

  /** Calls a method as the broker forwards it. A result must fit the table, and so must a fault. */
  async call(peer: FakeConnection, method: CollectorMethod, params?: unknown): Promise<Record<string, unknown>> {
    const [status, body] = await this.raw(peer, method, params);
    if (status === 0) return collectorMethods[method].reply.parse(body);
    throw Object.assign(new Error('refused'), faultSchema.strict().parse(body));
  }

  async raw(peer: FakeConnection, method: string, params: unknown = {}): Promise<[status: unknown, body: unknown]> {
    const id = ++this.#callId;
    peer.send(Kind.request, id, 'c', method, params, 30_000);
    for (;;) {
      const [, replyId, status, body] = await peer.kind(Kind.reply);
      if (replyId === id) return [status, body];
    }
  }

  /** As SIGTERM does. */
  stop(): void {
    this.#stop.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const peer = this.broker.connections.at(-1);
    if (peer !== undefined) void this.raw(peer, 'shutdown', { type: 'immediate' }).catch(() => {});
    await this.running.catch(() => {});
  }
}

export function acceptRegistration(peer: FakeConnection, request: ReceivedRequest, reclaimed: readonly Lease[]): void {
  registrationSchema.parse(request.params);
  peer.reply(request, { topic: 'control.tasks.t.c', heartbeat_ms: 15_000, lease_ms: 30_000, reclaimed });
}

export function leaseOf(at: number, token = `token-${at}`): Lease {
  return { task_id: `0197a8e2-5c1e-7d43-9b1f-${String(at).padStart(12, '0')}`, token };
}

export function assign(peer: FakeConnection, lease: Lease, more: Record<string, unknown> = {}): void {
  peer.send(Kind.publish, 'control.tasks.t.c', {
    kind: 'assign',
    ...lease,
    operation: 'work',
    attempt: 1,
    priority: 100,
    timeout_ms: 30_000,
    lease_ms: 30_000,
    metadata: {},
    correlation: {},
    payload: null,
    ...more,
  });
}
