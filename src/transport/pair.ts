/** The in-process transport: two ends of one stream, for the embedded broker and for tests. */
import { type Duplex, duplexPair } from 'node:stream';

export function transportPair(): [Duplex, Duplex] {
  const [one, other] = duplexPair();
  // A socket tells its peer when it is destroyed; a pair does so only from Node 24 on.
  one.once('close', () => other.destroy());
  other.once('close', () => one.destroy());
  return [one, other];
}
