/** Commands to type next, complete: they reach the same broker as the command that prints them. */

import { shellQuoted } from '../text/shell.ts';

/** The flags by which the printing command found its broker. */
export interface Reached {
  /** Of `--socket`; undefined when the next command finds the same socket by itself. */
  readonly socket?: string | undefined;
}

/** `deye broker stop`, with the `--socket` that it needs. A command that was given `--config` passes the socket found there. */
export const hint = (command: string, reached: Reached): string => `${command}${socketFlag(reached)}`;

/** The flag with a space before it, or nothing. */
export const socketFlag = ({ socket }: Reached): string =>
  socket === undefined ? '' : ` --socket ${shellQuoted(socket)}`;
