/** A real broker, in this process, on the journal of a state directory and a socket of its own. */
import { join } from 'node:path';
import { loadConfiguration } from '../../src/broker/configuration.ts';
import { type RunningBroker, startBroker } from '../../src/broker/start.ts';

export async function brokerOn(stateDir: string): Promise<RunningBroker> {
  const configuration = await loadConfiguration({ stateDir, socket: join(stateDir, 'run', 'broker.sock') }, {});
  return startBroker({ configuration: { ...configuration, collectors: [] }, store: `journal:${stateDir}` });
}
