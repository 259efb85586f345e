/** The transports there are, by scheme. Callers hand over an address and need not know which system they are on. */
import type { Duplex } from 'node:stream';
import { memoryTransport } from './memory.ts';
import { pipeTransport } from './pipe.ts';
import type { Address, DialOptions, Listener, ListenHandler, Scheme, Transport } from './port.ts';
import { unixTransport } from './unix.ts';

const transports: { readonly [S in Scheme]: Transport<S> } = {
  unix: unixTransport,
  pipe: pipeTransport,
  memory: memoryTransport,
};

export function listen<S extends Scheme>(address: Address<S>, handler: ListenHandler): Promise<Listener> {
  const transport: Transport<S> = transports[address.scheme];
  return transport.listen(address, handler);
}

export function dial<S extends Scheme>(address: Address<S>, options: DialOptions): Promise<Duplex> {
  const transport: Transport<S> = transports[address.scheme];
  return transport.dial(address, options);
}

/** A living listener takes this for long when it is slow. */
const answerMs = 2000;

/** Whether something listens there and is ours. */
export async function answers(address: Address): Promise<boolean> {
  try {
    (await dial(address, { timeoutMs: answerMs })).destroy();
    return true;
  } catch {
    return false;
  }
}
