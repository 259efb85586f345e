/**
 * A random history of a journal on a disk that dies: appends, floors, seals, kills, power failures and starts, from a
 * seed. After every start the books must balance: what was acknowledged and not released is there, byte for byte, and
 * nothing is there that was never appended.
 */
import {
  blockBytes,
  headerBytes,
  isAt,
  readSegmentHead,
  type SegmentHead,
  writeHeader,
} from '../../src/journal/header.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { Journal } from '../../src/journal/port.ts';
import { JournalError } from '../../src/journal/port.ts';
import { DiskTwin, GoneError } from '../twins/disk.ts';

export interface HistoryOptions {
  readonly steps?: number;
  /** Chance that a piece of work on the disk is the last one. */
  readonly deathRate?: number;
  /** Bytes of the segments. */
  readonly segmentBytes?: number;
  /** Flip one synced bit somewhere before a start; the start must refuse, or lose nothing that it should keep. */
  readonly flips?: boolean;
  readonly capacity?: number;
  /** Give back what is ready beyond what is needed, now and then. */
  readonly trims?: boolean;
  readonly sync?: 'batch' | number;
}

export interface HistoryResult {
  readonly starts: number;
  readonly acknowledged: number;
  readonly released: number;
  readonly refused: string | undefined;
  readonly trace: readonly string[];
}

/** mulberry32 */
export function dice(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class History {
  readonly #chance: () => number;
  readonly #disk = new DiskTwin();
  readonly #options: Required<Omit<HistoryOptions, 'capacity'>> & { readonly capacity: number | undefined };
  /** Everything ever given to an append, by sequence, with the epoch that gave it; later ones replace what was cut. */
  readonly #appended = new Map<number, Uint8Array>();
  /** The last sequence that must survive a kill, and a power failure. */
  #acknowledged = 0;
  #synced = 0;
  #floor = 1;
  #epoch = 0;
  /** The process is gone, whoever of its parts noticed. */
  #dead = false;
  readonly #trace: string[] = [];
  #timers: (() => void)[] = [];
  #starts = 0;
  /** Where a bit is flipped that no start has read yet: a head stands elsewhere too, so it must not matter. */
  #flipped: 'head' | 'batch' | undefined;
  /** Whether something says of the last batch that it was synced. */
  #sealed = false;
  /** Heads of segments that were seen; whoever has an old backup knows the salts of released ones. */
  readonly #leaked: SegmentHead[] = [];

  constructor(seed: number, options: HistoryOptions = {}) {
    this.#chance = dice(seed);
    this.#options = {
      steps: 60,
      deathRate: 0.01,
      segmentBytes: 8 * 4096,
      flips: false,
      trims: false,
      sync: 'batch',
      capacity: undefined,
      ...options,
    };
  }

  async run(): Promise<HistoryResult> {
    let journal: Journal | undefined;
    let refused: string | undefined;
    for (let step = 0; step < this.#options.steps; step++) {
      try {
        journal ??= await this.#start();
        await this.#step(journal);
      } catch (error) {
        if (this.#flipped === 'batch' && error instanceof JournalError && error.code === 'journal_damaged') {
          refused = error.message;
          break;
        }
        if (this.#options.capacity !== undefined && isFull(error)) {
          refused = (error as JournalError).message;
          break;
        }
        if (!isDeath(error)) throw this.#explained(error);
        journal = undefined;
        this.#die();
      }
    }
    return {
      starts: this.#starts,
      acknowledged: this.#acknowledged,
      released: this.#floor - 1,
      refused,
      trace: this.#trace,
    };
  }

  #explained(error: unknown): Error {
    const tail = this.#trace.slice(-25).join('\n');
    return new Error(`${(error as Error).message}\n${tail}\n${this.#disk.names.join(' ')}`, { cause: error });
  }

  #say(text: string): void {
    this.#trace.push(text);
  }

  #tick(work: string): void {
    if (this.#dead) throw new GoneError();
    if (this.#chance() >= this.#options.deathRate) return;
    this.#dead = true;
    this.#say(`dies at: ${work}`);
    throw new GoneError();
  }

  #die(): void {
    this.#timers = [];
    if (this.#chance() < 0.5) {
      this.#say('kill -9');
      this.#disk.kill();
      return;
    }
    this.#say('power failure');
    this.#disk.cutPower(this.#chance);
    this.#acknowledged = Math.min(this.#acknowledged, this.#synced);
  }

  async #start(): Promise<Journal> {
    const { segmentBytes, capacity, sync } = this.#options;
    this.#starts++;
    this.#dead = false;
    const disk = this.#disk.attach({
      tick: (work) => this.#tick(work),
      chance: this.#chance,
      ...(capacity !== undefined && { capacity }),
    });
    if (this.#options.flips && this.#chance() < 0.2) this.#flip();
    const journal = await openJournal({
      disk,
      segmentBytes,
      sync,
      sealMs: 100,
      later: (_ms, run) => this.#timers.push(run),
      wallMs: () => 0,
      failed: () => {},
      randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(this.#chance() * 256)),
      witnesses: async () => ({}),
      cut: (sequence, bytes) => this.#say(`cut ${bytes} bytes behind ${sequence}`),
    });
    this.#say(`start ${this.#starts}: ${journal.first}–${journal.synced.sequence}, epoch ${journal.epoch}`);
    // The start that began an epoch and did nothing else may be lost with a flipped bit, since nothing of it was answered.
    if (journal.epoch <= this.#epoch && this.#flipped === undefined)
      throw new Error(`epoch ${journal.epoch} after ${this.#epoch}`);
    this.#epoch = journal.epoch;
    await this.#balance(journal);
    this.#flipped = undefined; // all that is still needed was read, and is whole
    journal.hold('test', this.#floor);
    return journal;
  }

  /** One bit of what is on the disk. */
  #flip(): void {
    const names = this.#disk.names.filter((name) => !name.includes('torn'));
    if (!names.includes('journal.json')) return; // it is being made, and says everything once
    const name = names[Math.floor(this.#chance() * names.length)];
    if (name === undefined) return;
    const bytes = this.#disk.bytes(name);
    if (bytes.length === 0) return;
    // Where something is written, more often than in the zeros behind it.
    const end = this.#chance() < 0.9 ? bytes.findLastIndex((byte) => byte !== 0) + 1 : bytes.length;
    // The head is small, and as much depends on it as on the rest.
    const at = Math.floor(this.#chance() * (this.#chance() < 0.2 ? 80 : end));
    this.#say(`flips a bit of byte ${at} of ${name}`);
    this.#disk.damage(name, (copy) => {
      copy[at] = copy[at]! ^ (1 << Math.floor(this.#chance() * 8));
      return copy;
    });
    // With two heads damaged, nothing may be left that knows a salt.
    const isHead = (at < 4096 || name === 'journal.json') && this.#flipped === undefined;
    this.#flipped = isHead ? 'head' : 'batch';
  }

  async #balance(journal: Journal): Promise<void> {
    const last = journal.synced.sequence;
    if (last < this.#acknowledged && !this.#isUnsealed(last))
      throw new Error(`acknowledged ${this.#acknowledged}, recovered ${last}`);
    if (journal.first > this.#floor) throw new Error(`released up to ${journal.first}, allowed ${this.#floor}`);
    for await (const { sequence, body } of journal.read(this.#floor)) {
      const expected = this.#appended.get(sequence);
      if (expected === undefined || !Buffer.from(expected).equals(body))
        throw new Error(`batch ${sequence} is not what was appended`);
    }
    this.#acknowledged = this.#synced = last;
    this.#sealed = true;
  }

  /** One flipped bit in the last batch, before anything said that it was synced, cannot be told from a torn tail. */
  #isUnsealed(last: number): boolean {
    return this.#flipped !== undefined && !this.#sealed && last === this.#acknowledged - 1;
  }

  async #step(journal: Journal): Promise<void> {
    const dice = this.#chance();
    if (dice < 0.6) await this.#append(journal);
    else if (this.#options.trims && dice < 0.65) {
      const isTurn = this.#chance() < 0.3;
      this.#say(isTurn ? 'turn' : 'trim');
      const beside = this.#chance() < 0.5 ? [this.#append(journal)] : [];
      const done = await Promise.allSettled([isTurn ? journal.turn() : journal.trim(), ...beside]);
      for (const one of done) if (one.status === 'rejected') throw one.reason;
    } else if (dice < 0.75) {
      const timers = this.#timers;
      this.#timers = [];
      for (const run of timers) run();
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#options.sync !== 'batch') this.#synced = journal.synced.sequence;
      await new Promise((resolve) => setImmediate(resolve));
      this.#sealed = !this.#dead && this.#timers.length === 0;
    } else if (dice < 0.9) {
      this.#floor = Math.max(this.#floor, Math.floor(this.#acknowledged - this.#chance() * 8));
      journal.hold('test', this.#floor);
    } else if (dice < 0.95) {
      this.#say('clean stop');
      await journal.close();
      if (!this.#dead) this.#synced = this.#acknowledged;
      throw new GoneError();
    } else throw new GoneError();
  }

  async #append(journal: Journal): Promise<void> {
    const most = this.#chance() < 0.1 ? journal.bodyBytesMax : 9000;
    const body = this.#body(Math.floor(this.#chance() * most));
    const sequence = Math.max(this.#acknowledged, journal.synced.sequence) + 1;
    this.#appended.set(sequence, body);
    const cut = Math.floor(this.#chance() * body.length);
    this.#sealed = false;
    const appended = await journal.append([body.subarray(0, cut), body.subarray(cut)], 1, sequence);
    this.#say(`append ${sequence} (${body.length} bytes): ${appended}`);
    if (appended === 'full' && this.#options.capacity !== undefined) return;
    if (appended !== 'committed') throw new Error(`append ${sequence}: ${appended}`);
    this.#acknowledged = sequence;
    this.#synced = Math.max(this.#synced, journal.synced.sequence);
  }

  /** Bytes of its own; now and then with a batch inside that says what is not so, where a block begins. */
  #body(length: number): Uint8Array {
    const body = Buffer.alloc(length, Buffer.from(Array.from({ length: 7 }, () => Math.floor(this.#chance() * 256))));
    const heads = this.#disk.names.flatMap((name) => readSegmentHead(this.#disk.bytes(name)) ?? []);
    for (const head of heads) if (!this.#leaked.some(({ salt }) => isAt(salt, 0, head.salt))) this.#leaked.push(head);
    const released = this.#leaked.filter(({ segment }) => !heads.some((head) => head.segment === segment));
    const from = released[Math.floor(this.#chance() * released.length)];
    const at = blockBytes - headerBytes;
    if (this.#chance() < 0.3 && from !== undefined && length > at + headerBytes) {
      const ordinal = this.#acknowledged * 3;
      const lie = { ordinal, sequence: ordinal, synced: ordinal, chain: 0, recordsChain: 0, epoch: 1, records: 1 };
      const header = { ...lie, kind: 'records', bodyBytes: 0, pointer: undefined, writtenAtMs: 0 } as const;
      writeHeader(body.subarray(at, at + headerBytes), from.salt, from.storeId, header, []);
    }
    return body;
  }
}

/** A start needs a block for its epoch: there is a message for that, and nothing is touched. */
const isFull = (error: unknown): boolean => error instanceof JournalError && error.code === 'journal_full';

const isDeath = (error: unknown): boolean =>
  error instanceof GoneError || (error instanceof JournalError && error.cause instanceof GoneError);
