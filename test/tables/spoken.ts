/**
 * What a test run has spoken: methods of the broker and of collectors, their faults, fault codes, limits. Each worker appends to a file of its own
 * in a directory that `completeness.ts` makes; at the end of a whole run, what is missing there fails it.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { collectorMethods } from '../../src/protocol/collector-method.ts';
import type { FaultCode } from '../../src/protocol/fault.ts';
import { callFaults, faultTable } from '../../src/protocol/fault.ts';
import type { LimitName } from '../../src/protocol/limits.ts';
import { limitTable } from '../../src/protocol/limits.ts';
import { methodTable } from '../../src/protocol/message.ts';

export const spokenVariable = 'DEYE_SPOKEN_DIR';

const noted = new Set<string>();

/** Notes one item, such as `task.submit queue_full`; see `everything`. */
export function note(item: string): void {
  const directory = process.env[spokenVariable];
  if (directory === undefined || noted.has(item)) return;
  noted.add(item);
  appendFileSync(join(directory, `${process.pid}.txt`), `${item}\n`);
}

/** For the tests of a limit: at the limit it went well, and one beyond it did not. */
export const speak = (limit: LimitName): void => note(`limit ${limit}`);

/** For a fault that is spoken where no frame is seen: inside the broker, or by a child process. */
export const speakFault = (code: FaultCode): void => note(`fault ${code}`);

/** All that a whole run must have spoken. */
export const everything = (): string[] => [
  ...Object.entries(methodTable).flatMap(([method, { faults }]) => [
    `${method} ok`,
    ...faults.map((code) => `${method} ${code}`),
  ]),
  ...Object.keys(collectorMethods).map((method) => `${method} ok`),
  'call ok',
  ...callFaults.map((code) => `call ${code}`),
  ...Object.keys(faultTable).map((code) => `fault ${code}`),
  ...Object.keys(limitTable).map((limit) => `limit ${limit}`),
];
