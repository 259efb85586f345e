/** The broker that runs on a store, for the commands that ask it when it does and work on the files when it does not. */
import { readBrokerInfo } from '../broker/broker-info.ts';
import type { Client } from '../client/client.ts';
import { findStateDirectory } from './state-directory.ts';

export interface StoreFlags {
  readonly socket?: string | undefined;
  readonly 'state-dir'?: string | undefined;
}

export type Connect = (flags: { readonly socket?: string | undefined }) => Promise<Client>;

/** One that is named by its socket must run; that of a state directory may. Undefined when none does. */
export async function storeBroker(flags: StoreFlags, connect: Connect): Promise<Client | undefined> {
  if (flags.socket !== undefined) return connect(flags);
  const info = readBrokerInfo(await findStateDirectory(flags['state-dir']));
  return info === undefined ? undefined : connect({ socket: info.socket });
}
