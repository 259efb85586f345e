/** Exit codes: what each means, and which error ends with which. deye(1) prints this table. */
import { type FaultCode, faultTable } from '../protocol/fault.ts';

export const exitTable = {
  ok: { code: 0, summary: 'It worked.' },
  failed: { code: 1, summary: 'It failed.' },
  usage: { code: 2, summary: 'It was called wrongly, or its configuration is wrong.' },
  taskFailed: { code: 3, summary: 'The task that was waited for did not complete.' },
  notAllowed: { code: 4, summary: 'Not allowed: a role, or a directory that is not private.' },
  notFound: { code: 5, summary: 'There is no such task or collector.' },
  notRunning: { code: 69, summary: 'No broker is running.' },
  tryLater: { code: 75, summary: 'Not now; try again later.' },
  waitedTooLong: { code: 124, summary: 'Waited too long.' },
  hungUp: { code: 129, summary: 'Ended by SIGHUP: its terminal was closed.' },
  interrupted: { code: 130, summary: 'Interrupted.' },
  terminated: { code: 143, summary: 'Ended by SIGTERM.' },
} as const satisfies Record<string, { readonly code: number; readonly summary: string }>;

type ExitName = keyof typeof exitTable;

export const exitCodes = Object.fromEntries(Object.entries(exitTable).map(([name, { code }]) => [name, code])) as {
  readonly [Name in ExitName]: (typeof exitTable)[Name]['code'];
};

/** Each ends a command, which takes away what it has not finished. */
export const endingSignals = {
  SIGHUP: exitCodes.hungUp,
  SIGINT: exitCodes.interrupted,
  SIGTERM: exitCodes.terminated,
} as const;
export const signalNames = Object.keys(endingSignals) as (keyof typeof endingSignals)[];

/** Operational errors that do not end with `failed`, by their code. */
const operationalExits: Readonly<Record<string, number>> = {
  broker_not_running: exitCodes.notRunning,
  permission_denied: exitCodes.notAllowed,
  directory_unsafe: exitCodes.notAllowed,
  file_unsafe: exitCodes.notAllowed,
  socket_unsafe: exitCodes.notAllowed,
  store_unsafe: exitCodes.notAllowed,
  connection_lost: exitCodes.tryLater,
  store_in_use: exitCodes.tryLater,
  book_full: exitCodes.tryLater,
  journal_full: exitCodes.tryLater,
  target_exists: exitCodes.usage,
  configuration_invalid: exitCodes.usage,
  bad_address: exitCodes.usage,
  usage: exitCodes.usage,
  waited_too_long: exitCodes.waitedTooLong,
};

export const exitOf = (code: string): number =>
  operationalExits[code] ?? (Object.hasOwn(faultTable, code) ? faultTable[code as FaultCode].exit : exitCodes.failed);
