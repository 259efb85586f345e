/** Two ends of one stream in this process, which behave as the two ends of a socket do. */
import { type Duplex, duplexPair } from 'node:stream';

export function transportPair(): [Duplex, Duplex] {
  const [one, other] = duplexPair({ allowHalfOpen: false });
  for (const [end, peer] of [
    [one, other],
    [other, one],
  ] as const) {
    // A socket's peer learns of its end when it is destroyed; a pair's only from Node 24 on.
    end.once('close', () => peer.destroy());
    end.on('error', () => {}); // the code that destroyed it knows the error; an unhandled one would end the process
  }
  return [one, other];
}
