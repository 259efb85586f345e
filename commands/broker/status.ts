import { DeyeCommand } from '../../src/cli/command.ts';
import { namedIn } from '../../src/cli/place.ts';
import { pairs } from '../../src/cli/table.ts';
import { findSocket } from '../../src/configuration/place.ts';
import { directoryOf } from '../../src/protocol/store-address.ts';
import { bytes, duration } from '../../src/text/quantity.ts';

export default class BrokerStatus extends DeyeCommand {
  static override summary = 'Say whether the broker runs, where, and how busy it is.';
  static override description = 'Exits with 69 when no broker is running, and with 75 when it is stopping.';
  static override examples = ['<%= config.bin %> broker status', '<%= config.bin %> broker status --json'];

  async run(): Promise<void> {
    const { flags } = await this.parse(BrokerStatus);
    const place = await findSocket(flags.socket);
    const client = await this.connect(flags, { role: 'observer' });
    const { broker, totals, collectors, waiting } = await client.request('broker.snapshot', {});
    await this.print({ ...broker, totals, collectors: collectors.length, waiting }, flags, () =>
      pairs([
        ['status', 'running'],
        ['pid', String(broker.pid)],
        ['version', broker.version],
        ['up', duration(broker.uptime_ms)],
        ['socket', `${broker.socket}${namedIn(place)}`],
        ['store', directoryOf(broker.store) ?? broker.store],
        ['sync', `${broker.sync}${broker.is_store_full ? ', and the disk is full: nothing new is accepted' : ''}`],
        ['log', broker.log],
        ['memory', bytes(broker.rss_bytes)],
        ['sessions', String(broker.sessions)],
        ['collectors', String(collectors.length)],
        [
          'tasks',
          `${waiting} waiting, since the start ${totals.submitted} submitted, ${totals.completed} completed, ${totals.dead_lettered} dead`,
        ],
      ]),
    );
  }
}
