/** Everything up: the broker started if it was not running, its collectors settled, and where all of it is. */
import type { Overrides } from '../broker/configuration.ts';
import type { Client } from '../client/client.ts';
import type { CollectorView } from '../protocol/collector-schema.ts';
import { paint, statusStyle } from '../text/paint.ts';
import { plain } from '../text/plain.ts';
import { settledCollectors, startStopped } from './broker-process.ts';
import { type Started, type StartFlags, startInBackground } from './daemon.ts';
import { hint } from './hint.ts';
import { pairs } from './table.ts';

const settleMs = 60_000;

export interface Up extends Started {
  readonly collectors: CollectorView[];
  readonly healthy: boolean;
}

export async function bringUp(
  flags: StartFlags,
  connect: (socket: string) => Promise<Client>,
  progress: (text: string) => void,
): Promise<Up> {
  progress('starting the broker');
  const started = await startInBackground(flags, { progress: (text) => progress(`the broker: ${text}`) });
  const client = await connect(started.socket);
  if (started.already_running) await startStopped(client);
  const collectors = await settledCollectors(client, settleMs, (starting) =>
    progress(`waiting for ${starting.join(', ')}`),
  );
  return { ...started, collectors, healthy: collectors.every(isUp) };
}

const isUp = ({ status }: CollectorView): boolean => status === 'healthy' || status === 'degraded';

/** `given`: the flags that led to this broker; a hint that leaves them out would stop another one. */
export function bannerText(up: Up, given: Overrides): string {
  const collectors = up.collectors
    .map(({ collector_id, status }) => `${collector_id} ${paint(statusStyle(status), status)}`)
    .join(', ');
  return pairs([
    ['deye', `${up.version} ${up.already_running ? 'was running already' : 'is up'}`],
    ['socket', up.socket],
    ['store', up.store],
    ['log', up.log],
    ['pid', String(up.pid)],
    ['collectors', collectors === '' ? 'none' : collectors],
    ['stop with', stopHint(up.socket, given)],
  ]);
}

/** The socket is in the hint when the command line says which broker is meant, or a file that only this command reads. */
const stopHint = (socket: string, { socket: flag, stateDir, file }: Overrides): string =>
  hint('deye broker stop', { socket: [flag, stateDir, file].every((one) => one === undefined) ? undefined : socket });

/** What `deye broker start` says. */
export const startedText = (started: Started, given: Overrides): string =>
  `${started.already_running ? 'A broker is already running.' : 'The broker runs.'}\n${pairs([
    ['pid', String(started.pid)],
    ['socket', started.socket],
    ['store', started.store],
    ['log', started.log],
    ['stop with', stopHint(started.socket, given)],
  ])}`;

/** What to know about a start that succeeded, a line each. */
export const startNotes = ({ warnings, collectors_failed }: Started): string[] => [
  ...warnings,
  ...collectors_failed.map(({ collector_id, reason }) => `Collector ${collector_id} is down: ${plain(reason, 1000)}.`),
];

/** Why a collector is not up, a line each. */
export const troubleText = (up: Up): string[] =>
  up.collectors
    .filter((collector) => !isUp(collector))
    .map(({ collector_id, status, status_reason }) => `${collector_id} is ${status}: ${plain(status_reason, 500)}`);
