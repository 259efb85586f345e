/** How collectors answer calls: at once, late, in parts, twice, with a fault, never. */
import { Kind } from '../../../src/protocol/frame.ts';
import { lie } from '../ledger.ts';
import { fieldsOf } from '../request.ts';
import type { Wire } from '../wire.ts';
import type { LifeWorld } from '../world.ts';

export function answerCall(world: LifeWorld, wire: Wire, id: number, method: string, params: unknown): void {
  const { dice, timeline } = world;
  const { mark } = fieldsOf(params);
  const answer = method === 'health_check' ? { status: 'healthy' } : { mark };
  const fate = world.isCalm ? 0 : dice.pick(100);
  if (fate >= 90) return;
  timeline.after(dice.spanMs(fate > 70 ? 8000 : 300), () => {
    if (fate < 45) wire.send(Kind.reply, id, 0, answer);
    else if (fate < 55)
      wire.send(Kind.reply, id, 1, {
        code: 'sim',
        message: 'as planned',
        category: 'internal',
        retry: false,
        context: {},
      });
    else if (fate < 80) stream(world, wire, id, mark, dice.between(1, 12), 0);
    else if (fate < 85) for (let times = 2; times > 0; times--) wire.send(Kind.reply, id, 0, answer);
    else wire.send(Kind.reply, id + 1, 0, { mark: lie }); // the call of somebody else, or nobody
  });
}

function stream(world: LifeWorld, wire: Wire, id: number, mark: unknown, parts: number, part: number): void {
  if (!wire.isConnected) return;
  if (part === parts) return wire.send(Kind.reply, id, 0, { mark });
  wire.send(Kind.chunk, id, { mark, part, pad: 'c'.repeat(world.dice.oneOf([10, 300, 3000])) });
  world.timeline.after(world.dice.spanMs(100), () => stream(world, wire, id, mark, parts, part + 1));
}
