/** Calls collectors by their id and by what they offer, cancels, and gives up early. */
import { Actor } from '../actor.ts';
import type { LifeWorld } from '../world.ts';
import { operations } from './submitter.ts';

export class CallerActor extends Actor {
  #marks = 0;
  #calls: number[] = [];

  constructor(world: LifeWorld, name: string) {
    super(world, name, 'operator');
  }

  override act(): void {
    const { dice } = this.world;
    if (!this.isOpen) return;
    const what = dice.pick(100);
    if (what < 65) for (let count = dice.oneOf([1, 1, 3, 9]); count > 0; count--) this.#call();
    else if (what < 80 && this.#calls.length > 0) this.wire!.cancel(dice.oneOf(this.#calls));
    else this.misbehave();
  }

  protected override ended(): void {
    this.#calls = [];
  }

  #call(): void {
    const { dice } = this.world;
    const mark = ++this.#marks;
    const target = dice.chance(0.5) ? `c${dice.pick(5)}` : `any:${dice.oneOf([...operations, 'nothing'])}`;
    const method = dice.chance(0.2) ? 'health_check' : 'work';
    const timeoutMs = dice.oneOf([0, 200, 4000]);
    const params = { mark, pad: 'p'.repeat(dice.oneOf([0, 100, 3000])) };
    this.#calls.push(this.wire!.request(method, params, undefined, { target, timeoutMs, mark }));
  }
}
