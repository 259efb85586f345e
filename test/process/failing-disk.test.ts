/** The system fails a write or a sync of the journal under a real broker: it ends, and what it acknowledged is there. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../src/index.ts';
import { ended, World } from './daemon.ts';
import { cannotTrace, traced } from './system-calls.ts';

/** Sixteen at a time until they are refused; those that were acknowledged, and the codes of the refusals. */
async function submitOn(client: Client): Promise<{ ids: string[]; codes: string[] }> {
  const [ids, codes]: [string[], string[]] = [[], []];
  const one = async (): Promise<void> => {
    for (;;) {
      const submitted = await client.submit({ operation: 'scan' }).catch((error: { code: string }) => error.code);
      if (typeof submitted === 'string') return void codes.push(submitted);
      ids.push(submitted.id);
    }
  };
  await Promise.all(Array.from({ length: 16 }, one));
  return { ids, codes };
}

describe.skipIf(cannotTrace)('the disk fails', () => {
  // The count is of each thread: some writes and syncs go well first.
  test.each([
    ['a write', 'pwritev:error=EIO:when=8+', 'batch'],
    ['a sync', 'fsync:error=EIO:when=3+', '100ms'],
  ])(
    '%s: everybody is told, the exit code is 1, a restart has every task that was acknowledged',
    async (_, fault, sync) => {
      await using world = new World();
      world.env.DEYE_SYNC = sync;
      const segment = join(world.state, 'store', 'journal', '000000000001.journal');
      const inject = traced(join(world.directory, 'trace'), `-P '${segment}' -e 'inject=${fault}'`);
      const broker = world.shell(inject, 'broker', 'start', '--foreground', '--no-collectors');
      let errors = '';
      broker.stderr!.on('data', (chunk) => (errors += chunk));
      await world.ready();
      const client = await world.client({ reconnect: false });
      const { ids, codes } = await submitOn(client);
      await ended(broker);
      expect([broker.exitCode, broker.signalCode], errors).toEqual([1, null]);
      expect(errors).toMatch(/The disk failed: .*The broker stops; everything acknowledged is kept/);
      expect(codes).toEqual(Array(16).fill('store_unwritable'));
      expect(ids.length).toBeGreaterThan(16);
      delete world.env.DEYE_SYNC;
      await world.broker();
      const again = await world.client();
      for (const id of ids) expect(await again.request('task.show', { id })).toMatchObject({ state: 'pending' });
      await again.close();
    },
  );

  test('a write to the book: that is no full disk; a restart has every end that was acknowledged', async () => {
    await using world = new World();
    const log = join(world.state, 'store', 'book.db-wal');
    const inject = traced(join(world.directory, 'trace'), `-P '${log}' -e 'inject=pwrite64:error=EIO:when=40+'`);
    const broker = world.shell(inject, 'broker', 'start', '--foreground', '--no-collectors');
    let errors = '';
    broker.stderr!.on('data', (chunk) => (errors += chunk));
    await world.ready();
    const client = await world.client({ reconnect: false });
    const cancelled: string[] = [];
    for (let isOver = false; !isOver; ) {
      const id = await client.submit({ operation: 'scan' }).then(
        (submitted) => submitted.id,
        () => undefined,
      );
      isOver =
        id === undefined ||
        !(await client.request('task.cancel', { id }).then(
          () => true,
          () => false,
        ));
      if (!isOver) cancelled.push(id!);
    }
    await ended(broker);
    expect([broker.exitCode, broker.signalCode], errors).toEqual([1, null]);
    expect(errors).toMatch(/The book .*book\.db failed: disk I\/O error/);
    expect(cancelled.length).toBeGreaterThan(1);
    await world.broker();
    const again = await world.client();
    for (const id of cancelled) expect(await again.request('task.show', { id })).toMatchObject({ state: 'cancelled' });
    await again.close();
  });
});
