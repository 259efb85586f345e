/** deye-tasks.7: the life of a task, its states and edges printed from the table that the core moves along. */
import { defaultPlacement, placements } from '../../src/core/placement.ts';
import { limitKey, limitTable } from '../../src/protocol/limits.ts';
import { priorityNames } from '../../src/protocol/schema.ts';
import { stateTable } from '../../src/protocol/state.ts';
import { example, header, heading, page, paragraph, term } from './roff.ts';

const { heartbeatMs, leaseMs, cancelGraceMs, backoffBaseMs, backoffCapMs, retriesMax, reclaimGraceMs } = limitTable;
const { endedTasksMax, bookBytesMax } = limitTable;
const key = (name: keyof typeof limitTable): string => limitKey(name);
const days = (name: 'retentionMs' | 'deadLetterRetentionMs'): number => limitTable[name].value / 86_400_000;

export function tasksPage(version: string): string {
  return page(
    header('deye-tasks', 7, 'deye manual', version),
    heading('name'),
    'deye\\-tasks \\- the life of a task',
    heading('states'),
    ...Object.entries(stateTable).map(([state, { summary, next }]) =>
      term(state, `${summary} ${next.length === 0 ? 'Ends here.' : `Then ${next.join(', ')}.`}`),
    ),
    heading('diagram'),
    example(
      Object.entries(stateTable)
        .flatMap(([from, { next }]) => next.map((to) => `${from.padEnd(12)} --> ${to}`))
        .join('\n'),
    ),
    heading('order'),
    paragraph(
      `Higher priority first (0 to 255; ${Object.entries(priorityNames)
        .map(([name, value]) => `${name} is ${value}`)
        .join(
          ', ',
        )}), then the older task, also when it comes back from a retry. A task that no collector can serve never delays one that can be served.`,
    ),
    heading('match'),
    paragraph(
      'A collector can serve a task when it offers the operation, accepts the priority, has every required capability and label, is of the type and has the id that the task asks for, if it asks, and has not asked to be left out. It is given the task when it is healthy or degraded, has credit, and reads what is sent to it. Healthy ones go before degraded ones. When no registered collector could ever serve it, the reply to the submit, deye task submit, deye task show and deye top say no_capable_collector. While a task is pending, waits_for (deye task ls, deye task show) says why: no_capable_collector, no_healthy_collector, no_credit or stopping, and which collectors do not fit for which reason.',
    ),
    heading('routing'),
    paragraph(
      `A strategy chooses among the collectors that can take a task. The default is ${defaultPlacement}. deye routing set changes it at once, for the broker or for one operation, and it is remembered; deye routing show lists the strategies.`,
    ),
    ...[...placements].map(([name, { summary }]) => term(name, `${summary}.`)),
    heading('attempts'),
    paragraph(
      `Attempts count from 1. Each has a token, which fences it: tokens are never used again, also not after a restart or a restore, and the token is on disk before the task leaves. An answer with another token is refused with stale_lease and changes nothing. An attempt ends with its answer; when its connection closes, at once; when its collector misses two heartbeats (${key('heartbeatMs')}, ${heartbeatMs.value} ms); when its lease (${key('leaseMs')}, ${leaseMs.value} ms) is not renewed; or when it is over its timeout and does not stop within ${key('cancelGraceMs')} (${cancelGraceMs.value} ms) after its cancel was sent. A lost attempt is pending again at once, a failed one after a random part of min(base · 2^(n−1), cap), by default base ${backoffBaseMs.value} ms and cap ${backoffCapMs.value} ms. Each counts: after ${retriesMax.value} retries, by default, the task is a dead letter.`,
    ),
    heading('durability'),
    paragraph(
      `A submit, a completion, a failure, a cancel and a change of routing are answered after they are on disk: in the journal of deye-store(7), synced; with sync 100ms at most 100 ms before they are, and then the answer says so. After a restart of the broker tasks in progress wait ${key('reclaimGraceMs')} (${reclaimGraceMs.value} ms) for their collectors to reclaim them, and are pending again otherwise, their attempts counted. When a commit fails the broker stops, and acknowledges nothing that came after. Submitting an id again adds nothing and says duplicate.`,
    ),
    heading('retention'),
    paragraph(
      `An ended task is kept for ${days('retentionMs')} days (${key('retentionMs')}), a dead letter for ${days('deadLetterRetentionMs')} (${key('deadLetterRetentionMs')}), from its end on, or from the time of its id where that is ahead of its end. At most ${endedTasksMax.value} are kept (${key('endedTasksMax')}): beyond it the oldest are deleted, dead letters last, and tasks whose ids are ahead of the clock only beyond twice as many: nothing else would know such an id again. When they take more than ${bookBytesMax.value} bytes (${key('bookBytesMax')}) the oldest lose their payloads and results, dead letters last; the rest of them stays, and task.show says trimmed; it says so, too, of a payload that was damaged on the disk. The broker looks at its start and once a minute, more often while there is something, and deletes in slices of a few milliseconds, between which everything goes on; the file shrinks after that. When the clock went ahead by more than a day, or nothing was stored for that long, nothing is deleted for an hour.`,
    ),
    paragraph(
      'A submit that repeats an id is answered with the task of that id as long as it is kept. Afterwards it cannot be told from a new one: an id whose time is not after that of the newest deleted one is refused with id_expired, unless its task is known. Ids that are made now are newer, on a machine whose clock is right; one that the broker makes always is.',
    ),
    heading('see also'),
    paragraph('deye-task-submit(1), deye-routing-show(1), deye-store(7), deye-protocol(7), deye-design(7)'),
  );
}
