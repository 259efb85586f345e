/** `deye top` on a terminal and off one. Ink and React are loaded only for the first. */
import { stripVTControlCharacters } from 'node:util';
import type { Client } from '../client/client.ts';
import { type Snapshot, statusTopic } from '../protocol/view-schema.ts';
import { TopFeed } from '../tui/feed.ts';
import { layout, rollingLine } from '../tui/layout.ts';
import { initialState, reduce } from '../tui/model.ts';
import { type Reached, socketFlag } from './hint.ts';

export async function showTop(client: Client, reached: Reached, print: (line: string) => void): Promise<void> {
  const feed = new TopFeed(socketFlag(reached));
  if (process.stdout.isTTY && process.stdin.isTTY) {
    const { openScreen } = await import('../tui/screen.tsx');
    void feed
      .follow(client)
      .catch((error: Error) => feed.send({ kind: 'connection', state: 'closed', why: error.message }));
    return openScreen(feed);
  }
  let last: unknown;
  feed.subscribe(() => {
    const state = feed.current();
    const shown = state.connection === 'connected' ? state.latest : `${state.connection}${state.why}`;
    if (shown === last || (state.connection === 'connected' && state.latest === undefined)) return;
    last = shown;
    print(rollingLine(state));
  });
  return feed.follow(client);
}

/** Snapshot after snapshot, for a program. */
export async function followSnapshots(client: Client, print: (snapshot: Snapshot) => void): Promise<void> {
  const messages = await client.subscribe(statusTopic);
  print(await client.request('broker.snapshot', {}));
  for await (const { body } of messages) print(body as Snapshot);
}

/** One snapshot as text. */
export function snapshotText(snapshot: Snapshot, reached: Reached): string {
  const nowMs = performance.now();
  const state = reduce(
    { ...initialState, socketFlag: socketFlag(reached) },
    { kind: 'snapshot', snapshot, atMs: nowMs },
  );
  const lines = layout(state, process.stdout.columns ?? 120, 10_000, nowMs).slice(0, -1);
  const texts = lines.map((line) => stripVTControlCharacters(line.map(({ text }) => text).join('')).trimEnd());
  return texts.slice(0, texts.findLastIndex((text) => text !== '') + 1).join('\n');
}
