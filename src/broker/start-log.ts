/** The start on the log: what was found in the store always, what is done only when it takes long. */
import type { Logger } from 'pino';

const lookEveryMs = 1000;

export class StartLog implements Disposable {
  readonly #log: Logger;
  readonly #progress: (stage: string) => void;
  readonly #timer: NodeJS.Timeout;
  #stage = '';
  #logged = '';

  /** @param progress gets every stage, too. */
  constructor(log: Logger, progress: (stage: string) => void = () => {}) {
    this.#log = log;
    this.#progress = progress;
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
  }

  readonly stage = (stage: string): void => {
    this.#stage = stage;
    this.#progress(stage);
  };

  readonly found = (what: string): void => this.#log.info({ component: 'store' }, what);

  #look(): void {
    if (this.#stage === this.#logged) return;
    this.#logged = this.#stage;
    this.#log.info({ component: 'store', stage: this.#stage }, 'the start takes a while');
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
