/** A realtime publish from a command: its refusal, which comes unasked, is an error like any other. */
import type { Client } from '../client/client.ts';
import { type Fault, FaultError } from '../protocol/fault.ts';

export async function publishRealtime(client: Client, topic: string, body: unknown): Promise<void> {
  const refusals: Fault[] = [];
  client.onRefused = (refusal) => refusals.push(refusal);
  client.publish(topic, body);
  // What a session sends is handled in its order, so with this answer a refusal has come too.
  await client.request('broker.health', {});
  const [refusal] = refusals;
  if (refusal !== undefined) throw new FaultError(refusal);
}
