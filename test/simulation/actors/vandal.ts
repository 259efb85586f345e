/** One who breaks the protocol, says nothing, or comes too often. */
import { Kind } from '../../../src/protocol/frame.ts';
import { Client } from '../client.ts';
import { Wire } from '../wire.ts';
import type { World } from '../world.ts';

export class Vandal extends Client {
  #extra: Wire[] = [];

  constructor(world: World, name: string) {
    super(world, name, 'operator');
  }

  override act(): void {
    const { dice, world } = { dice: this.world.dice, world: this.world };
    const { wire } = this;
    const what = dice.pick(6);
    world.trace.note(`${this.name} vandalises ${what}`);
    if (what === 0)
      wire?.write(
        Buffer.from(dice.oneOf(['ffffffff', '00000002c100', '0000000391050a', '000000029199'] as const), 'hex'),
      );
    else if (what === 1)
      this.#extra.push(new Wire(world, `${this.name}+`, 'observer', {})); // without a hello
    else if (what === 2)
      for (let count = 12; count > 0; count--) this.#extra.push(new Wire(world, `${this.name}+`, 'observer', {}));
    else if (what === 3) wire?.send(Kind.goodbye, 'enough');
    else if (what === 4) for (let count = 40; count > 0; count--) wire?.send(Kind.ping, count);
    else if (dice.chance(0.5)) wire?.hello('2.0');
    else wire?.write(Buffer.alloc(300, 0x41));
  }

  override calm(): void {
    super.calm();
    for (const wire of this.#extra.splice(0)) wire.end();
  }
}
