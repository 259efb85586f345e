/** What every store must do. Each engine runs this suite; `reopen` gives a store over what the last one kept. */
import { afterEach, describe, expect, test } from 'vitest';
import { present } from '../../src/core/body.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import type { Store, TaskFilter } from '../../src/store/port.ts';
import { deletionOf, expiryOf, loadAt, moved, purge, specOf, submitted } from './records.ts';

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
        expiredBeforeMs: 0,
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
      expect((await purge(store, { beforeMs: 2004 })).tasks.toSorted()).toEqual([1, 3]);
      expect(await store.show('a')).toBeUndefined();
      expect(await store.show('c')).toBeUndefined();
      expect((await store.show('b'))?.state).toBe('dead_letter'); // dead letters have a time of their own
      expect((await store.show('d'))?.state).toBe('completed'); // it ended at 2004
      const all = { beforeMs: 9999, deadLettersBeforeMs: 9999 };
      expect((await store.expired(expiryOf({ ...all, limit: 1 }))).tasks).toHaveLength(1);
      expect((await purge(store, all)).tasks.toSorted()).toEqual([2, 4]);
      const loaded = await (await reopen()).load(loadAt(nowMs));
      expect(loaded.tasks).toEqual([]);
      expect(loaded.nextSeq).toBe(5);
    });

    test('finding what is kept no longer deletes nothing, and deleting it twice is deleting it once', async () => {
      const { store } = await fresh();
      await store.commit([submitted(1, 'a'), submitted(2, 'b'), moved(1, 'completed')]);
      const expiry = expiryOf({ beforeMs: 9999 });
      const expired = await store.expired(expiry);
      expect(expired.tasks).toEqual([1]);
      expect(await store.expired(expiry)).toEqual(expired);
      expect((await store.show('a'))?.state).toBe('completed');
      await store.commit(deletionOf(expired));
      await store.commit(deletionOf(expired));
      expect(await store.expired(expiry)).toEqual({ tasks: [], bodies: [], beforeMs: 0 });
      expect([await store.show('a'), (await store.show('b'))?.state]).toEqual([undefined, 'pending']);
    });

    test('what is deleted says from when on ids are new; that only rises, and is remembered', async () => {
      const { store, reopen } = await fresh();
      const ids = [30, 10, 20].map((at) => uuidv7(nowMs - at));
      await store.commit(ids.flatMap((id, at) => [submitted(at + 1, id), moved(at + 1, 'completed', { atMs: nowMs })]));
      const { tasks, beforeMs } = await purge(store, { beforeMs: nowMs + 1 });
      expect([tasks.toSorted(), beforeMs]).toEqual([[1, 2, 3], nowMs - 9]);
      await store.commit([{ kind: 'expired', beforeMs: 5 }]);
      const again = await reopen();
      expect((await again.load(loadAt(nowMs))).expiredBeforeMs).toBe(nowMs - 9);
      await again.commit([{ kind: 'expired', beforeMs: nowMs }]);
      expect((await (await reopen()).load(loadAt(nowMs))).expiredBeforeMs).toBe(nowMs);
    });

    test('beyond a number of tasks the oldest go first, dead letters last', async () => {
      const { store, reopen } = await fresh();
      const states = ['dead_letter', 'completed', 'cancelled', 'completed'] as const;
      await store.commit([1, 2, 3, 4, 5, 6].map((seq) => submitted(seq, `t${seq}`)));
      // The dead letter is the oldest of them.
      await store.commit(states.map((state, at) => moved(at + 1, state, { atMs: at === 0 ? 100 : 9000 - at })));
      await store.commit([moved(5, 'in_progress')]);
      expect((await store.expired(expiryOf({ tasksMax: 4 }))).tasks).toEqual([]);
      expect((await store.expired(expiryOf({ tasksMax: 0 }))).tasks).toEqual([4, 3, 2, 1]);
      expect((await purge(store, { tasksMax: 2 })).tasks).toEqual([4, 3]);
      const again = await reopen();
      await again.load(loadAt(nowMs));
      expect((await purge(again, { tasksMax: 1 })).tasks).toEqual([2]);
      expect((await again.list(everything)).map(({ seq }) => seq)).toEqual([6, 5, 1]);
    });

    test('an id from ahead of the clock is kept until it is not, if anything else can go', async () => {
      const { store } = await fresh();
      const [old, ahead] = [uuidv7(nowMs - 500), uuidv7(nowMs + 500)];
      await store.commit([submitted(1, ahead), submitted(2, old), moved(1, 'completed', { atMs: nowMs - 900 })]);
      await store.commit([moved(2, 'cancelled', { atMs: nowMs })]);
      expect((await store.expired(expiryOf({ beforeMs: nowMs + 1 }))).tasks).toEqual([2]);
      expect((await store.expired(expiryOf({ beforeMs: nowMs + 501 }))).tasks.toSorted()).toEqual([1, 2]);
      expect((await store.expired(expiryOf({ tasksMax: 1 }))).tasks).toEqual([2]);
      // It must not make every id look old.
      expect(await purge(store, { tasksMax: 0, wallMs: nowMs })).toEqual({
        tasks: [2, 1],
        bodies: [],
        beforeMs: nowMs - 499,
      });
    });

    test('beyond a number of tasks an id from ahead of the clock is kept, up to as many again', async () => {
      const { store } = await fresh();
      const ids = [-500, 500, 600, 700].map((at) => uuidv7(nowMs + at));
      const ends = [1, 2, 3, 4].map((seq) => moved(seq, seq === 3 ? 'dead_letter' : 'completed', { atMs: nowMs }));
      await store.commit([...ids.map((id, at) => submitted(at + 1, id)), ...ends]);
      const over = async (tasksMax: number) => (await store.expired(expiryOf({ tasksMax, wallMs: nowMs }))).tasks;
      expect(await over(2)).toEqual([1]);
      await store.commit([{ kind: 'purged', seqs: [1] }]);
      expect(await over(2)).toEqual([]);
      expect(await over(1)).toEqual([2]);
      expect(await over(0)).toEqual([2, 4, 3]);
      const later = async (wallMs: number) => (await store.expired(expiryOf({ tasksMax: 2, wallMs }))).tasks;
      expect([await later(nowMs + 499), await later(nowMs + 500)]).toEqual([[], [2]]);
    });

    test('beyond a number of bytes the oldest lose their bodies, dead letters last, and nothing else', async () => {
      const { store, reopen } = await fresh();
      const seqs = Array.from({ length: 60 }, (_, at) => at + 1);
      const [payload, result] = [new Uint8Array(30_000).fill(1), new Uint8Array(10_000).fill(2)];
      await store.commit(seqs.map((seq) => submitted(seq, `t${seq}`, { payload })));
      await store.commit([
        moved(1, 'dead_letter'),
        ...seqs.slice(1, -1).map((seq) => moved(seq, 'completed', { result })),
      ]);
      expect(await store.expired(expiryOf({ bytesMax: 10_000_000 }))).toEqual({ tasks: [], bodies: [], beforeMs: 0 });
      const { tasks, bodies } = await purge(store, { bytesMax: 1_200_000 });
      expect([tasks, bodies]).toEqual([[], seqs.slice(1, bodies.length + 1)]);
      const again = await reopen();
      await again.load(loadAt(nowMs));
      // What is there has 40,000 bytes each, and what else the engine counts; no more than that takes was deleted.
      const left = 60 - 1 - bodies.length;
      expect(left * 40_000).toBeLessThanOrEqual(1_200_000);
      expect(left * 40_000).toBeGreaterThan(900_000);
      for (const seq of seqs) {
        const task = await again.show(`t${seq}`);
        const lengths = [task?.spec.payload.length, task?.result?.length];
        const isTrimmed = bodies.includes(seq);
        expect(lengths, `t${seq}`).toEqual([
          isTrimmed ? 0 : 30_000,
          isTrimmed || seq === 1 || seq === 60 ? undefined : 10_000,
        ]);
      }
      expect((await purge(again, { bytesMax: 1 })).bodies.at(-1)).toBe(1);
      expect(await again.list(everything)).toHaveLength(60);
      expect((await again.show('t60'))?.spec.payload.length).toBe(30_000); // it lives
    });

    test('there is an end to giving space back', async () => {
      const { store } = await fresh();
      await store.commit([submitted(1, 'a'), moved(1, 'completed')]);
      await purge(store, { beforeMs: 9999 });
      let slices = 0;
      while (await store.shrink()) slices++;
      expect(slices).toBeLessThan(100);
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
