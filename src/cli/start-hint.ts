/** The way to start a broker on a state directory that was just made. */
import { join } from 'node:path';
import { findPlace } from '../configuration/place.ts';
import { shellQuoted } from '../text/shell.ts';
import { parseAddress } from '../transport/address.ts';
import { answers } from '../transport/registry.ts';
import { hint } from './hint.ts';

/** With a socket of its own where a broker answers on the one that it would take. */
export async function startHint(stateDir: string): Promise<string> {
  const socket = (await isTaken(stateDir)) ? join(stateDir, 'broker.sock') : undefined;
  return hint(`deye broker start --state-dir ${shellQuoted(stateDir)}`, { socket });
}

async function isTaken(stateDir: string): Promise<boolean> {
  try {
    return await answers(parseAddress((await findPlace({ stateDir })).socket.value));
  } catch {
    return false; // a file that is wrong: the start itself says so
  }
}
