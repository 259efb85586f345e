/** Looks and waits: details, lists, snapshots, waits over the limit, waits that are cancelled, answers that are not read. */
import { Actor } from '../actor.ts';
import type { LifeWorld } from '../world.ts';
import { operations } from './submitter.ts';

const bodies = [[], ['payload'], ['result'], ['payload', 'result']] as const;
const looks = ['broker.health', 'broker.snapshot', 'broker.capabilities', 'collector.list', 'routing.show'] as const;

export class WaiterActor extends Actor {
  #waits: number[] = [];

  constructor(world: LifeWorld, name: string) {
    super(world, name, world.dice.chance(0.5) ? 'observer' : 'operator');
  }

  override act(): void {
    const { dice } = this.world;
    if (!this.isOpen) return;
    const what = dice.pick(100);
    if (what < 40) for (let count = dice.oneOf([1, 1, 2, 8]); count > 0; count--) this.#wait();
    else if (what < 52) this.#cancelWait();
    else if (what < 68) for (let count = dice.oneOf([1, 2, 12]); count > 0; count--) this.#show();
    else if (what < 76) this.#list(undefined, 3);
    else if (what < 86) this.#look();
    else this.misbehave();
  }

  protected override ended(): void {
    this.#waits = [];
  }

  #wait(): void {
    const { dice } = this.world;
    const id = this.#anyTask();
    if (id === undefined) return;
    const include = dice.chance(0.5) ? {} : { include: dice.oneOf(bodies) };
    const timeoutMs = dice.oneOf([0, 1, 500, 20_000, 10_000_000]);
    const wait = this.wire!.request('task.wait', { id, ...include }, undefined, { timeoutMs });
    this.#waits.push(wait);
  }

  /** Of a wait that is open, that is over, or that never was. */
  #cancelWait(): void {
    const { dice } = this.world;
    if (this.#waits.length > 0) this.wire!.cancel(dice.oneOf(this.#waits) + (dice.chance(0.1) ? 50 : 0));
  }

  #show(): void {
    const id = this.#anyTask();
    if (id !== undefined) this.wire!.request('task.show', { id, include: this.world.dice.oneOf(bodies) });
  }

  /** Page after page. */
  #list(cursor: string | undefined, pages: number): void {
    const { dice } = this.world;
    const filter = {
      limit: dice.between(1, 20),
      ...(dice.chance(0.3) ? { state: dice.oneOf([['queued'], ['failed'], ['completed', 'in_progress']]) } : {}),
      ...(dice.chance(0.3) ? { operation: dice.oneOf(operations) } : {}),
      ...(dice.chance(0.1) ? { collector_id: 'c0' } : {}),
      ...(cursor === undefined ? {} : { cursor }),
    };
    this.wire?.request('task.list', filter, (outcome) => {
      if (outcome.ok && typeof outcome.result.cursor === 'string' && pages > 1)
        this.#list(outcome.result.cursor, pages - 1);
    });
  }

  #look(): void {
    const { dice } = this.world;
    const what = dice.pick(10);
    if (what < 3) this.wire!.request('collector.show', { collector_id: `c${dice.pick(4)}` });
    else if (what === 3) this.wire!.request('task.submit', { operation: 'x', nonsense: 1 });
    else if (what === 4) this.wire!.request('no.such_method', {});
    else this.wire!.request(dice.oneOf(looks), {});
  }

  #anyTask(): string | undefined {
    const { dice, ledger } = this.world;
    const ids = [...ledger.intended.keys()];
    return ids.length === 0 ? undefined : dice.oneOf(ids);
  }
}
