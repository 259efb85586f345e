/** What a start says of its recovery: what it does, to whoever waits for it, and what it found. */
import type { RecoveryWatch } from '../journal/open.ts';
import { counted } from '../text/quantity.ts';
import type { LoadOptions } from './port.ts';

const batches = (count: number): string => counted(count, 'batch', 'batches');
const segments = (count: number): string => counted(count, 'segment');

export class RecoveryReport implements Required<RecoveryWatch> {
  readonly #progress: (stage: string) => void;
  readonly #found: (what: string) => void;
  #percent = -1;
  #behind = 0;

  constructor({ progress = () => {}, found = () => {} }: Pick<LoadOptions, 'progress' | 'found'>) {
    this.#progress = progress;
    this.#found = found;
  }

  readonly reading = (at: number, of: number): void => this.#progress(`reading segment ${at} of ${of}`);

  readonly cut = (sequence: number, bytes: number, copy: string | undefined): void => {
    this.#progress(`cutting a torn tail of ${bytes} bytes${copy === undefined ? '' : `, kept as ${copy}`}`);
    const kept = copy === undefined ? 'the disk had no space to keep a copy' : `they are kept as ${copy}`;
    this.#found(
      `the journal had a torn tail, which a crash leaves: ${bytes} bytes behind batch ${sequence} were never synced, and were cut; ${kept}`,
    );
  };

  readonly ignored = (count: number): void =>
    this.#found(`${segments(count)} of the journal that nothing needs any more: to be used again`);

  readonly repaired = (what: string): void =>
    this.#found(`${what} was missing or damaged, and was written again from what stands elsewhere in the journal`);

  /** Which batch is folded. Called for each of them, so it speaks only once in a while. */
  folding(at: number, from: number, to: number): void {
    const percent = Math.floor((100 * (at - from)) / (to - from + 1));
    if (percent === this.#percent) return;
    this.#percent = percent;
    this.#progress(`folding batch ${at - from + 1} of ${to - from + 1}`);
  }

  /** A batch that the book does not have yet. */
  behind(): void {
    this.#behind++;
  }

  entering(): void {
    if (this.#behind > 0) this.#progress(`entering ${batches(this.#behind)} into the book`);
  }

  /** @param isFull the disk had no room for all of them. */
  entered(isFull: boolean): void {
    const end = isFull ? 'which the full disk leaves it; they are in the journal' : 'and was caught up';
    if (this.#behind > 0) this.#found(`the book was ${batches(this.#behind)} behind the journal, ${end}`);
  }
}
