/** A simulated client: it connects, does what is in its nature, is cut off, and comes back. */
import type { Role } from '../../src/protocol/schema.ts';
import { Wire, type WireHandlers } from './wire.ts';
import type { LifeWorld } from './world.ts';

export abstract class Actor {
  readonly name: string;
  readonly role: Role;
  protected readonly world: LifeWorld;
  /** The session it has; closed while it has none. */
  protected wire: Wire | undefined;
  protected isGone = false;
  protected sessions = 0;

  constructor(world: LifeWorld, name: string, role: Role) {
    this.world = world;
    this.name = name;
    this.role = role;
  }

  /** Does one thing, good or bad. */
  abstract act(): void;

  /** Nothing bad any more; what is open is brought to its end. */
  calm(): void {
    this.wire?.read(Number.POSITIVE_INFINITY, 0);
    if (this.wire !== undefined) this.wire.isSilent = false;
  }

  /** Requests that nobody has answered. */
  get unanswered(): string[] {
    return [...(this.wire?.requests.values() ?? [])].map(({ method }) => `${this.name} ${method}`);
  }

  leave(): void {
    this.isGone = true;
    this.wire?.end();
  }

  connect(): void {
    if (this.isGone) return;
    const { dice, timeline } = this.world;
    const wire = new Wire(this.world, `${this.name}/${++this.sessions}`, this.role, this.handlers());
    if (wire.isClosed) return timeline.after(100 + dice.spanMs(1500), () => this.connect());
    this.wire = wire;
    if (!this.world.isCalm && dice.chance(0.25)) this.dullness(wire);
    wire.hello();
  }

  protected get isOpen(): boolean {
    return this.wire?.isOpen === true;
  }

  protected opened(): void {}

  protected ended(): void {}

  protected handlers(): WireHandlers {
    return { opened: () => this.opened(), closed: () => this.#closed() };
  }

  /** Reads slowly, or not at all for a while. */
  protected dullness(wire: Wire): void {
    const { dice, timeline } = this.world;
    if (dice.chance(0.5)) wire.read(200 + dice.pick(4000), 5 + dice.pick(200));
    else {
      wire.read(0, 0);
      timeline.after(dice.pick(15_000), () => wire.read(Number.POSITIVE_INFINITY, 0));
    }
  }

  /** What any session may do beside its work. */
  protected misbehave(): void {
    const { dice } = this.world;
    const { wire } = this;
    if (wire === undefined || wire.isClosed) return;
    const what = dice.pick(5);
    this.world.trace.note(`${wire.name} misbehaves ${what}`);
    if (what === 0) wire.end();
    else if (what === 1) wire.reset();
    else if (what === 2) wire.isSilent = !wire.isSilent;
    else this.dullness(wire);
  }

  #closed(): void {
    this.ended();
    const { dice, timeline } = this.world;
    timeline.after(50 + dice.spanMs(this.world.isCalm ? 200 : 3000), () => this.connect());
  }
}
