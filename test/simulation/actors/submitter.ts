/** Submits tasks, alone and in batches, again and malformed, and calls some off. */
import { Actor } from '../actor.ts';
import type { Fields } from '../request.ts';
import type { LifeWorld } from '../world.ts';

export const operations = ['scan', 'hash', 'watch'] as const;
export const labels = [{ zone: 'a' }, { zone: 'b' }] as const;
const strategies = [
  'least_loaded',
  'round_robin',
  'first_available',
  'random',
  'weighted',
  'default',
  'no_such',
] as const;
const priorities = [0, 50, 99, 100, 199, 200, 255, 'critical', 'high', 'normal', 'low'] as const;

export class SubmitterActor extends Actor {
  constructor(world: LifeWorld, name: string) {
    super(world, name, 'operator');
  }

  override act(): void {
    const { dice } = this.world;
    if (!this.isOpen) return;
    const what = dice.pick(100);
    if (what < 45) this.#submit();
    else if (what < 68) this.#batch();
    else if (what < 80) this.#cancel();
    else if (what < 86) this.#route();
    else this.misbehave();
  }

  /** Calls off what nobody could ever do. */
  cancel(id: string): void {
    this.wire?.request('task.cancel', { id, reason: 'calm' });
  }

  #submit(): void {
    const task = this.#task();
    this.#mean(task);
    this.wire?.request('task.submit', task);
  }

  #batch(): void {
    const { dice } = this.world;
    const tasks = Array.from({ length: dice.between(1, 6) }, () =>
      dice.chance(0.1) ? { ...this.#fresh(), malformed: true } : this.#task(),
    );
    for (const task of tasks) this.#mean(task);
    this.wire?.request('task.submit_batch', { tasks });
  }

  #cancel(): void {
    const { dice, durable } = this.world;
    const ids = [...durable.live].map(({ spec }) => spec.id);
    if (ids.length > 0) this.wire?.request('task.cancel', { id: dice.oneOf(ids), reason: 'sim' });
  }

  #route(): void {
    const { dice } = this.world;
    const operation = dice.chance(0.5)
      ? { operation: dice.chance(0.7) ? dice.oneOf(operations) : `r${dice.pick(20)}` }
      : {};
    this.wire?.request('routing.set', { strategy: dice.oneOf(strategies), ...operation });
  }

  #mean(task: Fields): void {
    const { intended } = this.world.ledger;
    if (task.malformed !== true && !intended.has(String(task.id))) intended.set(String(task.id), task);
  }

  #task(): Fields {
    const { dice, ledger } = this.world;
    const known = [...ledger.intended.values()];
    // Again what was submitted long ago, or just now.
    if (known.length > 0 && dice.chance(0.2))
      return known[dice.chance(0.3) ? known.length - 1 : dice.pick(known.length)]!;
    return this.#fresh();
  }

  #fresh(): Fields {
    const { dice, wall, ledger } = this.world;
    const skewMs = dice.chance(0.08) ? dice.oneOf([-86_400_000, -5000, 3000, 600_000]) : 0;
    const pad = dice.chance(0.12) ? dice.pick(8500) : dice.pick(60);
    return {
      id: idAt(wall.nowMs + skewMs, ++ledger.ids),
      operation: dice.chance(0.05) ? `rare${dice.pick(12)}` : dice.oneOf(operations),
      priority: dice.oneOf(priorities),
      payload: { pad: 'x'.repeat(pad) },
      timeout_ms: 1000 + dice.pick(15_000),
      max_retries: dice.pick(8),
      backoff: { base_ms: dice.oneOf([0, 200, 500]), cap_ms: dice.oneOf([1500, 6000]) },
      ...(dice.chance(0.12) ? { requires: ['deep'] } : {}),
      ...(dice.chance(0.12) ? { labels: dice.oneOf(labels) } : {}),
      ...(dice.chance(0.06) ? { collector_id: `c${dice.pick(4)}` } : {}),
      ...(dice.chance(0.06) ? { collector_type: dice.oneOf(['sim', 'other']) } : {}),
    };
  }
}

/** A UUIDv7 of that moment, with a counter where chance would be. */
function idAt(wallMs: number, order: number): string {
  const time = Math.max(0, wallMs).toString(16).padStart(12, '0');
  const count = order.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${count}`;
}
