/** procmond: the processes of this machine. Lists them on request, and publishes starts and exits while it collects. */
import { z } from 'zod';
import { type CollectorProgram, defineCollector } from '../../collector/define.ts';
import { enumerateProcesses } from './enumerate.ts';
import { type ProcessRow, processTableLimitation, readProcessTable } from './process-table.ts';

const configurationSchema = z.strictObject({ interval_ms: z.number().int().min(100).max(3_600_000).default(30_000) });

export function procmond(): CollectorProgram {
  let config = configurationSchema.parse({});
  let known: Map<string, ProcessRow> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let publish: (topic: string, body: unknown) => boolean = () => false;
  let scans = 0;

  const scan = async (): Promise<void> => {
    const rows = new Map((await readProcessTable()).map((row) => [`${row.pid} ${row.started_at_ms}`, row]));
    const before = known ?? rows;
    for (const [key, row] of rows) {
      if (before.has(key)) continue;
      publish('events.process.lifecycle', { event: 'start', at_ms: Date.now(), ...row });
      publish('events.process.new', { at_ms: Date.now(), ...row });
    }
    for (const [key, row] of before)
      if (!rows.has(key)) publish('events.process.lifecycle', { event: 'exit', at_ms: Date.now(), ...row });
    known = rows;
    scans++;
  };
  const schedule = (): void => {
    clearInterval(timer);
    timer = setInterval(() => void scan(), config.interval_ms);
  };

  return defineCollector({
    type: 'procmond',
    version: '1',
    capabilities: ['process'],
    eventDomains: ['process'],
    maxConcurrentTasks: 4,
    limitation: processTableLimitation,
    operations: { enumerate_processes: (task, { signal }) => enumerateProcesses(task.payload, signal) },
    start: async (overrides, context) => {
      config = configurationSchema.parse({ ...config, ...overrides });
      publish = context.publish;
      await scan();
      schedule();
    },
    stop: () => {
      clearInterval(timer);
      known = undefined;
    },
    configuration: () => config,
    health: () => ({ metrics: { scans, interval_ms: config.interval_ms, processes: known?.size ?? 0 } }),
    configure: (changes, validateOnly) => {
      const changed = configurationSchema.parse({ ...config, ...changes });
      if (validateOnly) return;
      config = changed;
      if (timer !== undefined) schedule();
    },
  });
}
