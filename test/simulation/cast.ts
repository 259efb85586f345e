/** Who takes part in a life. */

import type { Actor } from './actor.ts';
import { CallerActor } from './actors/caller.ts';
import { CollectorActor, type Leases } from './actors/collector.ts';
import { PublisherActor } from './actors/publisher.ts';
import { SubmitterActor } from './actors/submitter.ts';
import { SubscriberActor } from './actors/subscriber.ts';
import { VandalActor } from './actors/vandal.ts';
import { WaiterActor } from './actors/waiter.ts';
import type { LifeWorld } from './world.ts';

/** Tasks always; the other planes now and then, so that each life is small and all together see everything. */
export function cast(world: LifeWorld, leases: Leases): Actor[] {
  const { dice } = world;
  const clients: Actor[] = [new SubmitterActor(world, 's0')];
  if (dice.chance(0.5)) clients.push(new SubmitterActor(world, 's1'));
  const collectors = dice.between(1, 4);
  for (let at = 0; at < collectors; at++) clients.push(new CollectorActor(world, `c${at}`, leases));
  if (dice.chance(0.5)) clients.push(new WaiterActor(world, 'w0'));
  if (dice.chance(0.3)) clients.push(new WaiterActor(world, 'w1'));
  if (dice.chance(0.35)) clients.push(new PublisherActor(world, 'p0'), new SubscriberActor(world, 'u0'));
  if (dice.chance(0.15)) clients.push(new PublisherActor(world, 'p1'), new SubscriberActor(world, 'u1'));
  if (dice.chance(0.3)) clients.push(new CallerActor(world, 'k0'));
  if (dice.chance(0.15)) clients.push(new VandalActor(world, 'v0'));
  return clients;
}
