/** The transport within one process: for the embedded broker and for tests. */
import type { Duplex } from 'node:stream';
import { TransportError } from './error.ts';
import { transportPair } from './pair.ts';
import type { ListenHandler, Transport } from './port.ts';

const listening = new Map<string, ListenHandler>();

export const memoryTransport: Transport<'memory'> = {
  scheme: 'memory',
  async listen(address, handler) {
    const { name } = address;
    if (listening.has(name))
      throw new TransportError('socket_in_use', `Something is listening on memory:${name} already.`);
    listening.set(name, handler);
    const close = async (): Promise<void> => {
      if (listening.get(name) === handler) listening.delete(name);
    };
    return { address, close, [Symbol.asyncDispose]: close };
  },
  dial: async ({ name }) => openMemory(name),
};

/** A connection to the listener of this name, at once. Throws a TransportError. */
export function openMemory(name: string): Duplex {
  const handler = listening.get(name);
  if (handler === undefined)
    throw new TransportError('broker_not_running', `No broker is running on memory:${name} in this process.`);
  const [mine, theirs] = transportPair();
  handler.accept(theirs, { scheme: 'memory', proof: 'process' });
  return mine;
}
