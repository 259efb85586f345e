/** What every store must do. Each engine runs this suite; `reopen` gives a store over what the last one kept. */
import { afterEach, describe, expect, test } from 'vitest';
import { present } from '../../src/core/body.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import type { Store, TaskFilter } from '../../src/store/port.ts';
import { loadAt, moved, specOf, submitted } from './records.ts';

const nowMs = 1_800_000_000_000;
const everything: TaskFilter = {
  states: [],
  operation: undefined,
  collectorId: undefined,
  beforeSeq: undefined,
  limit: 100,
};

export function storeConformance(name: string, open: () => { store: Store; reopen: () => Promise<Store> }): void {
  describe(`${name} store`, () => {
    let opened: Store[] = [];
    const fresh = async () => {
      const { store, reopen } = open();
      opened.push(store);
      await store.load(loadAt(nowMs));
      return {
        store,
        reopen: async () => {
          await opened.at(-1)!.close();
          const again = await reopen();
          opened.push(again);
          return again;
        },
      };
    };
    afterEach(async () => {
      for (const store of opened) await store.close();
      opened = [];
    });

    test('an empty one loads nothing and counts from 1', async () => {
      const { store } = open();
      opened.push(store);
      expect(await store.load(loadAt(nowMs))).toEqual({
        epoch: 1,
        sync: expect.stringMatching(/^(batch|none)$/),
        newestAtMs: undefined,
        tasks: [],
        settings: new Map(),
        nextSeq: 1,
        newestId: undefined,
        idsAhead: [],
      });
      expect(await store.show('x')).toBeUndefined();
      expect(await store.list(everything)).toEqual([]);
    });

    test('what was committed is there after a restart, byte for byte', async () => {
      const { store, reopen } = await fresh();
      await store.commit([
        submitted(1, 'a', { collectorType: 'deep', collectorId: 'c9' }),
        submitted(2, 'b', { payload: new Uint8Array(100_000).fill(7), priority: 255 }),
      ]);
      const again = await reopen();
      const { tasks: loaded, nextSeq } = await again.load(loadAt(nowMs));
      const tasks = [...loaded];
      expect(nextSeq).toBe(3);
      expect(tasks.map(({ seq, state, attempt, submittedAtMs }) => ({ seq, state, attempt, submittedAtMs }))).toEqual([
        { seq: 1, state: 'pending', attempt: 0, submittedAtMs: 1001 },
        { seq: 2, state: 'pending', attempt: 0, submittedAtMs: 1002 },
      ]);
      expect({ ...tasks[0]!.spec, payload: Buffer.from(present(tasks[0]!.spec.payload)) }).toEqual({
        ...specOf('a', { collectorType: 'deep', collectorId: 'c9' }),
        payload: Buffer.from([0x81, 0xa1, 0x61, 0x01]),
      });
      expect(Buffer.from(present(tasks[1]!.spec.payload)).equals(Buffer.alloc(100_000, 7))).toBe(true);
    });

    test('payloads that memory has no room for are read back: of what lives, after a restart, of what has ended', async () => {
      const { reopen } = await fresh();
      const options = { ...loadAt(nowMs), payloadsBytesMax: 5000, bodyDamaged: (id: string) => expect.unreachable(id) };
      const store = await reopen();
      await store.load(options);
      const payloadOf = (seq: number): Uint8Array => new Uint8Array(2000).fill(seq);
      const seqs = Array.from({ length: 9 }, (_, at) => at + 1);
      const expectAll = async (one: Store): Promise<void> => {
        for (const seq of seqs) {
          const shown = (await one.show(`t${seq}`))!;
          expect([shown.state, Buffer.from(present(shown.spec.payload)).equals(payloadOf(seq))]).toEqual([
            seq % 2 === 0 ? 'completed' : 'pending',
            true,
          ]);
          if (seq % 2 !== 0) expect(Buffer.from((await one.payload(`t${seq}`))!).equals(payloadOf(seq))).toBe(true);
        }
      };
      for (const seq of seqs) await store.commit([submitted(seq, `t${seq}`, { payload: payloadOf(seq) })]);
      await store.commit(seqs.filter((seq) => seq % 2 === 0).map((seq) => moved(seq, 'completed')));
      await expectAll(store);
      const again = await reopen();
      await again.load(options);
      await expectAll(again);
    });

    test('the life of a task, its attempts and its result', async () => {
      const { store, reopen } = await fresh();
      const error = { code: 'oops', message: 'it broke' };
      await store.commit([submitted(1, 'a')]);
      await store.commit([moved(1, 'in_progress', { collectorId: 'c1' })]);
      await store.commit([
        {
          kind: 'attempt',
          seq: 1,
          attempt: 1,
          collectorId: 'c1',
          startedAtMs: 5,
          endedAtMs: 6,
          outcome: 'failed',
          error,
        },
        moved(1, 'retrying', { readyAtMs: 9000, error, excluded: ['c1'] }),
      ]);
      expect(await store.show('a')).toMatchObject({
        state: 'retrying',
        readyAtMs: 9000,
        error,
        excluded: ['c1'],
        collectorId: 'c1',
        result: undefined,
      });
      await store.commit([moved(1, 'in_progress', { attempt: 2, collectorId: 'c2', excluded: ['c1'] })]);
      const again = await reopen();
      expect((await again.load(loadAt(nowMs))).tasks).toMatchObject([
        { seq: 1, state: 'in_progress', attempt: 2, collectorId: 'c2', excluded: ['c1'] },
      ]);
      await again.commit([
        {
          kind: 'attempt',
          seq: 1,
          attempt: 2,
          collectorId: 'c2',
          startedAtMs: 7,
          endedAtMs: 8,
          outcome: 'completed',
          error: undefined,
        },
        moved(1, 'completed', { attempt: 2, result: Uint8Array.of(0xc3) }),
      ]);
      const done = (await again.show('a'))!;
      expect(done).toMatchObject({ state: 'completed', attempt: 2, error: undefined });
      expect(Buffer.from(done.result!)).toEqual(Buffer.from([0xc3]));
      expect(done.attempts).toEqual([
        { attempt: 1, collectorId: 'c1', startedAtMs: 5, endedAtMs: 6, outcome: 'failed', error },
        { attempt: 2, collectorId: 'c2', startedAtMs: 7, endedAtMs: 8, outcome: 'completed', error: undefined },
      ]);
    });

    test('ended tasks are not loaded, and no seq is used twice, even after they are forgotten', async () => {
      const { store, reopen } = await fresh();
      await store.commit([submitted(1, 'a'), submitted(2, 'b'), submitted(3, 'c'), submitted(4, 'd')]);
      await store.commit([
        moved(1, 'completed', { result: Uint8Array.of(1) }),
        moved(2, 'dead_letter'),
        moved(3, 'cancelled'),
        moved(4, 'completed'),
      ]);
      expect(await store.purge({ beforeMs: 2004, deadLettersBeforeMs: 0, limit: 100 })).toBe(2);
      expect(await store.show('a')).toBeUndefined();
      expect(await store.show('c')).toBeUndefined();
      expect((await store.show('b'))?.state).toBe('dead_letter'); // dead letters have a time of their own
      expect((await store.show('d'))?.state).toBe('completed'); // it ended at 2004
      expect(await store.purge({ beforeMs: 9999, deadLettersBeforeMs: 9999, limit: 1 })).toBe(1);
      expect(await store.purge({ beforeMs: 9999, deadLettersBeforeMs: 9999, limit: 100 })).toBe(1);
      expect(await store.purge({ beforeMs: 9999, deadLettersBeforeMs: 9999, limit: 100 })).toBe(0);
      const loaded = await (await reopen()).load(loadAt(nowMs));
      expect(loaded.tasks).toEqual([]);
      expect(loaded.nextSeq).toBe(5);
    });

    test('a commit is whole or not at all', async () => {
      const { store, reopen } = await fresh();
      await store.commit([submitted(1, 'a')]);
      await expect(store.commit([submitted(2, 'b'), submitted(3, 'a')])).rejects.toThrow();
      const { tasks } = await (await reopen()).load(loadAt(nowMs));
      expect([...tasks].map(({ spec }) => spec.id)).toEqual(['a']);
    });

    test('every load begins a new epoch', async () => {
      const { reopen } = await fresh();
      const epochs = [];
      for (let at = 0; at < 3; at++) epochs.push((await (await reopen()).load(loadAt(nowMs))).epoch);
      expect(epochs).toEqual([2, 3, 4]);
    });

    test('the instant of the latest change is told, of tasks that ended as well', async () => {
      const { store, reopen } = await fresh();
      await store.commit([submitted(1, 'a'), submitted(2, 'b'), moved(1, 'completed', { atMs: 7000 })]);
      expect(await (await reopen()).load(loadAt(nowMs))).toMatchObject({ newestAtMs: 7000 });
    });

    test('ids from ahead of the clock are named apart from the newest one', async () => {
      const { store, reopen } = await fresh();
      const [old, recent, ahead] = [uuidv7(nowMs - 5), uuidv7(nowMs), uuidv7(nowMs + 60_000)];
      await store.commit([submitted(1, old), submitted(2, ahead), submitted(3, recent)]);
      expect(await (await reopen()).load(loadAt(nowMs))).toMatchObject({ newestId: recent, idsAhead: [ahead] });
    });

    test('ids from ahead of the clock are named one by one up to their limit; beyond it their greatest stands for all', async () => {
      const { store, reopen } = await fresh();
      const ahead = [1, 3, 2].map((at) => uuidv7(nowMs + at * 60_000));
      await store.commit([uuidv7(nowMs), ...ahead].map((id, at) => submitted(at + 1, id)));
      const { newestId, idsAhead } = await (await reopen()).load({ wallMs: nowMs, idsAheadMax: 3 });
      expect([newestId! < ahead[0]!, idsAhead.toSorted()]).toEqual([true, ahead.toSorted()]);
      const beyond = await (await reopen()).load({ wallMs: nowMs, idsAheadMax: 2 });
      expect(beyond).toMatchObject({ newestId: ahead[1], idsAhead: [] });
    });

    test('the states of those ids that are kept', async () => {
      const { store } = await fresh();
      await store.commit([submitted(1, 'a'), submitted(2, 'b'), moved(2, 'completed')]);
      expect(await store.states(['a', 'b', 'c'])).toEqual(
        new Map([
          ['a', 'pending'],
          ['b', 'completed'],
        ]),
      );
    });

    test('the token of a lease and the span of a backoff come back', async () => {
      const { store, reopen } = await fresh();
      await store.commit([submitted(1, 'a'), moved(1, 'retrying', { token: '7.z', readyAtMs: 9000, delayMs: 7000 })]);
      expect((await (await reopen()).load(loadAt(nowMs))).tasks).toMatchObject([
        { token: '7.z', readyAtMs: 9000, delayMs: 7000, spec: { namespace: 'default' } },
      ]);
    });

    test('settings are remembered, the last one wins', async () => {
      const { store, reopen } = await fresh();
      await store.commit([
        { kind: 'setting', namespace: 'default', key: 'k', value: '1' },
        { kind: 'setting', namespace: 'default', key: 'k', value: '2' },
      ]);
      const again = await reopen();
      expect((await again.load(loadAt(nowMs))).settings).toEqual(new Map([['k', '2']]));
      await again.commit([{ kind: 'setting', namespace: 'default', key: 'k', value: undefined }]);
      expect((await (await reopen()).load(loadAt(nowMs))).settings).toEqual(new Map());
    });

    test('lists by filter, newest first, by pages', async () => {
      const { store } = await fresh();
      await store.commit(
        Array.from({ length: 10 }, (_, at) =>
          submitted(at + 1, `t${at + 1}`, { operation: at % 2 === 0 ? 'even' : 'odd' }),
        ),
      );
      await store.commit([
        moved(1, 'in_progress', { collectorId: 'c1' }),
        moved(2, 'completed', { collectorId: 'c1' }),
      ]);
      const ids = async (filter: Partial<TaskFilter>) =>
        (await store.list({ ...everything, ...filter })).map(({ spec }) => spec.id);
      expect(await ids({ limit: 3 })).toEqual(['t10', 't9', 't8']);
      expect(await ids({ limit: 3, beforeSeq: 8 })).toEqual(['t7', 't6', 't5']);
      expect(await ids({ operation: 'even' })).toEqual(['t9', 't7', 't5', 't3', 't1']);
      expect(await ids({ states: ['completed', 'in_progress'] })).toEqual(['t2', 't1']);
      expect(await ids({ collectorId: 'c1', operation: 'odd' })).toEqual(['t2']);
      expect((await store.list(everything))[0]!.spec.payload.length).toBe(0);
    });

    test('commits take effect in order, and reads see those before them', async () => {
      const { store } = await fresh();
      const commits = Array.from({ length: 50 }, (_, at) => store.commit([submitted(at + 1, `t${at + 1}`)]));
      expect((await store.list(everything)).length).toBe(50);
      await Promise.all(commits);
    });
  });
}
