/** One who breaks the protocol, says nothing, or comes too often. */
import { Kind } from '../../../src/protocol/frame.ts';
import { Actor } from '../actor.ts';
import { Wire } from '../wire.ts';
import type { LifeWorld } from '../world.ts';

const brokenFrames = ['ffffffff', '00000002c100', '0000000391050a', '000000029199'] as const;

export class VandalActor extends Actor {
  #extra: Wire[] = [];

  constructor(world: LifeWorld, name: string) {
    super(world, name, 'operator');
  }

  override act(): void {
    const { wire, world } = this;
    const { dice } = world;
    const what = dice.pick(8);
    world.trace.note(`${this.name} vandalises ${what}`);
    if (what === 0) wire?.write(Buffer.from(dice.oneOf(brokenFrames), 'hex'));
    else if (what === 1) this.#another();
    else if (what === 2) for (let count = 12; count > 0; count--) this.#another();
    else if (what === 3) wire?.send(Kind.goodbye, 'enough');
    else if (what === 4) for (let count = 40; count > 0; count--) wire?.send(Kind.ping, count);
    else if (what === 5) this.#another().hello('9.0');
    else if (what === 6) this.#another().send(Kind.ping, 1);
    else if (dice.chance(0.5)) wire?.hello();
    else wire?.write(Buffer.alloc(300, 0x41));
  }

  /** A connection that says no hello. */
  #another(): Wire {
    const wire = new Wire(this.world, `${this.name}+`, 'observer', {});
    this.#extra.push(wire);
    return wire;
  }

  override calm(): void {
    super.calm();
    for (const wire of this.#extra.splice(0)) wire.end();
  }
}
