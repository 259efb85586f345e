/** What was printed could not be written. Hardly anything is imported: a full disk is reported at once, also by `--version`. */
import { wantsJson } from './wants-json.ts';

/** For the error event of standard output; ends the process. */
export function outputFailed(error: NodeJS.ErrnoException, argv: readonly string[]): never {
  if (error.code === 'EPIPE') process.exit(0); // the reader, such as head, has enough
  if (process.exitCode) process.exit(); // there was nothing to print but an error, which has been printed
  const message = `Standard output cannot be written: ${error.message}.`;
  const code = 'output_failed';
  process.stderr.write(
    wantsJson(argv) ? `${JSON.stringify({ error: { code, message } })}\n` : `deye: ${message} [${code}]\n`,
  );
  process.exit(1);
}
