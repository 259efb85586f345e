/**
 * Windows: a named pipe cannot be made private from Node, so its name is random and both sides prove that they can
 * read the user's own token file (`token.ts`). The name follows from the token; one file holds both.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeAddress } from './address.ts';
import { TransportError } from './error.ts';

export interface PipeIdentity {
  readonly address: string;
  readonly secret: Buffer;
}

const fileOf = (stateDir: string): string => join(stateDir, 'token');

/** A new name and token for a broker that starts; older ones are worthless from now on. */
export function makePipeIdentity(stateDir: string): PipeIdentity {
  mkdirSync(stateDir, { recursive: true });
  const secret = randomBytes(32);
  writeFileSync(fileOf(stateDir), secret, { mode: 0o600 });
  return { address: pipeAddress(secret), secret };
}

export function readPipeIdentity(stateDir: string): PipeIdentity {
  try {
    const secret = readFileSync(fileOf(stateDir));
    return { address: pipeAddress(secret), secret };
  } catch (cause) {
    throw new TransportError(
      'broker_not_running',
      'No broker has been started by this user. Start one with: deye broker start',
      { cause },
    );
  }
}
