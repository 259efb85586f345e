/** All collectors, however many pages they are. */
import type { Client } from '../client/client.ts';
import type { CollectorView } from '../protocol/collector-schema.ts';

export async function allCollectors(client: Client): Promise<CollectorView[]> {
  const all: CollectorView[] = [];
  for (let after = {}; ; ) {
    const { collectors, cursor } = await client.request('collector.list', after);
    all.push(...collectors);
    if (cursor === undefined) return all;
    after = { cursor };
  }
}
