/** What a command is waiting for, for a person who watches. */

/** Prints each new text once on standard error, when that is a terminal. */
export function progressLines(): (text: string) => void {
  let last = '';
  return (text) => {
    if (text !== last && process.stderr.isTTY) process.stderr.write(`${text} …\n`);
    last = text;
  };
}
