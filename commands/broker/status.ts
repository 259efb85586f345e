import { DeyeCommand } from '../../src/cli/command.ts';
import { pairs } from '../../src/cli/table.ts';
import { bytes, duration } from '../../src/text/quantity.ts';

export default class BrokerStatus extends DeyeCommand {
  static override summary = 'Say whether the broker runs, where, and how busy it is.';
  static override description = 'Exits with 69 when no broker is running.';
  static override examples = ['<%= config.bin %> broker status', '<%= config.bin %> broker status --json'];

  async run(): Promise<void> {
    const { flags } = await this.parse(BrokerStatus);
    const { broker, totals, collectors, queues } = await (await this.connect(flags, { role: 'observer' })).request(
      'broker.snapshot',
      {},
    );
    const waiting = queues.reduce((sum, { pending, retrying }) => sum + pending + retrying, 0);
    await this.print({ ...broker, totals, collectors: collectors.length, waiting }, flags, () =>
      pairs([
        ['status', 'running'],
        ['pid', String(broker.pid)],
        ['version', broker.version],
        ['up', duration(broker.at_ms - broker.started_at_ms)],
        ['socket', broker.socket],
        ['store', broker.store],
        ['memory', bytes(broker.rss_bytes)],
        ['sessions', String(broker.sessions)],
        ['collectors', String(collectors.length)],
        [
          'tasks',
          `${waiting} waiting, ${totals.submitted} submitted, ${totals.completed} completed, ${totals.dead_lettered} dead`,
        ],
      ]),
    );
  }
}
