/** Everything up: the broker started if it was not running, its collectors settled, and where all of it is. */
import type { Client } from '../client/client.ts';
import type { CollectorView } from '../protocol/schema.ts';
import { paint, statusStyle } from '../text/paint.ts';
import { settledCollectors, startStopped } from './broker-process.ts';
import { type Started, type StartFlags, startInBackground } from './daemon.ts';
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
  const started = await startInBackground(flags);
  const client = await connect(started.socket);
  if (started.already_running) await startStopped(client);
  const collectors = await settledCollectors(client, settleMs, (starting) =>
    progress(`waiting for ${starting.join(', ')}`),
  );
  return {
    ...started,
    collectors,
    healthy: collectors.every(({ status }) => status === 'healthy' || status === 'degraded'),
  };
}

export function bannerText(up: Up): string {
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
    ['stop with', 'deye broker stop'],
  ]);
}
