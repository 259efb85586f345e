/** What a broker that starts in the background reports to the command that started it, over its IPC channel. */
import { z } from 'zod';

export const startupReportSchema = z.union([
  z.object({ progress: z.string() }),
  z.object({
    ready: z.object({
      pid: z.number(),
      socket: z.string(),
      warnings: z.array(z.string()),
      collectors_failed: z.array(z.object({ collector_id: z.string(), reason: z.string() })),
    }),
  }),
  z.object({ failed: z.object({ code: z.string(), message: z.string() }) }),
]);
export type StartupReport = z.output<typeof startupReportSchema>;
export type StartupEnd = Exclude<StartupReport, { progress: string }>;

/** Set for the child, which takes it out of its environment at once: its own children are no daemons. */
export const daemonVariable = 'DEYE_DAEMON';

/** The descriptor of the IPC channel in the child: the first one after the standard ones. */
export const channelDescriptor = 3;

/** The log of a broker in the background, in its state directory. */
export const logName = 'broker.log';
