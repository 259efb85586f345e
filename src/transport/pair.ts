/** The in-process transport: two ends of one stream, for the embedded broker and for tests. */
import { type Duplex, duplexPair } from 'node:stream';

export function transportPair(): [Duplex, Duplex] {
  return duplexPair();
}
