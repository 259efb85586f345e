/** When the stepper asks the store for room. */
import { expect, test } from 'vitest';
import { Stepper } from '../../src/broker/stepper.ts';
import { newState } from '../../src/core/state.ts';
import { specOf } from '../conformance/records.ts';

const submit = {
  input: { kind: 'submit', to: { session: 1, id: 1 }, specs: [specOf('a')], batch: false },
  recall: undefined,
  needs: undefined,
} as const;

test('room is made again each time there is too little, not only once', async () => {
  let asked = 0;
  const wakes: (() => void)[] = [];
  const stepper = new Stepper({
    core: { state: newState() },
    store: { room: { bytes: 0, most: 32 * 1024 * 1024, full: true }, makeRoom: async () => void asked++ },
    now: () => ({ monotonicMs: 0, wallMs: 0 }),
    wake: () => wakes.shift()?.(),
    failed: (error) => expect.unreachable(error.message),
  });
  for (const time of [1, 2, 3]) {
    const tried = new Promise<void>((resolve) => wakes.push(resolve));
    expect(stepper.run([submit], false, [])).toEqual([submit]);
    expect(asked).toBe(time);
    await tried;
    expect(stepper.run([submit], false, [])).toEqual([]); // refused: there is none
    stepper.lookForRoom();
  }
});
