/** Who takes part in a life. */
import { Caller } from './actors/caller.ts';
import { Collector, type Leases } from './actors/collector.ts';
import { Publisher } from './actors/publisher.ts';
import { Submitter } from './actors/submitter.ts';
import { Subscriber } from './actors/subscriber.ts';
import { Vandal } from './actors/vandal.ts';
import { Waiter } from './actors/waiter.ts';
import type { Client } from './client.ts';
import type { World } from './world.ts';

/** Tasks always; the other planes now and then, so that each life is small and all together see everything. */
export function cast(world: World, leases: Leases): Client[] {
  const { dice } = world;
  const clients: Client[] = [new Submitter(world, 's0')];
  if (dice.chance(0.5)) clients.push(new Submitter(world, 's1'));
  const collectors = dice.between(1, 4);
  for (let at = 0; at < collectors; at++) clients.push(new Collector(world, `c${at}`, leases));
  if (dice.chance(0.5)) clients.push(new Waiter(world, 'w0'));
  if (dice.chance(0.3)) clients.push(new Waiter(world, 'w1'));
  if (dice.chance(0.35)) clients.push(new Publisher(world, 'p0'), new Subscriber(world, 'u0'));
  if (dice.chance(0.15)) clients.push(new Publisher(world, 'p1'), new Subscriber(world, 'u1'));
  if (dice.chance(0.3)) clients.push(new Caller(world, 'k0'));
  if (dice.chance(0.15)) clients.push(new Vandal(world, 'v0'));
  return clients;
}
