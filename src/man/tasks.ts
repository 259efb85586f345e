/** deye-tasks.7: the life of a task, its states and edges printed from the table that the core moves along. */

import { strategies } from '../core/strategy.ts';
import { isTerminal, type TaskState, taskEdges } from '../core/task.ts';
import { limitTable } from '../protocol/limits.ts';
import { example, header, heading, page, paragraph, term } from './roff.ts';

const meaning: Record<TaskState, string> = {
  pending: 'Accepted and on disk; waits for a collector that can do it and has credit.',
  in_progress: 'Handed to a collector, under a lease.',
  retrying: 'An attempt failed; waits for its backoff.',
  completed: 'Done; the result is kept with it.',
  dead_letter: 'Out of retries or given up; kept with the error of every attempt.',
  cancelled: 'Called off while it waited.',
};

export function tasksPage(version: string): string {
  return page(
    header('deye-tasks', 7, 'deye manual', version),
    heading('name'),
    'deye\\-tasks \\- the life of a task',
    heading('states'),
    ...Object.entries(meaning).map(([state, text]) =>
      term(
        state,
        `${text} ${isTerminal(state as TaskState) ? 'Ends here.' : `Then ${taskEdges[state as TaskState].join(', ')}.`}`,
      ),
    ),
    heading('diagram'),
    example(
      Object.entries(taskEdges)
        .flatMap(([from, edges]) => edges.map((to) => `${from.padEnd(12)} --> ${to}`))
        .join('\n'),
    ),
    heading('order'),
    paragraph(
      'Higher priority first (0 to 255; critical is 250, high 200, normal 100, low 50), then the older task, also when it comes back from a retry. A task that nobody can serve never stands in front of one that somebody can.',
    ),
    heading('match'),
    paragraph(
      'A collector can serve a task when it offers the operation, accepts the priority, has every required capability and label, is of the type and has the id that the task asks for, if it asks, is healthy or degraded, has credit, and has not asked to be left out. Healthy ones go before degraded ones. When no registered collector could ever serve it, the reply to the submit, deye task submit and deye top say no_capable_collector.',
    ),
    heading('routing'),
    paragraph(
      `The strategies are ${Object.keys(strategies).join(' and ')}. least_loaded takes the collector with the fewest tasks in progress, among equals the longest idle; round_robin the next in order of id. deye routing set changes it at once, and it is remembered.`,
    ),
    heading('attempts'),
    paragraph(
      `The attempt's number is its fencing token: it only grows, and is on disk before the task leaves. An answer with an older one is refused and changes nothing. An attempt ends with its answer; when its connection closes, at once; when its collector misses two heartbeats (every ${limitTable.heartbeatMs.value} ms); when its lease (${limitTable.leaseMs.value} ms) is not renewed; or when it is over its timeout and does not stop within ${limitTable.cancelGraceMs.value} ms of being told to. A lost attempt is pending again at once, a failed one after a random part of min(base · 2^(n−1), cap), by default base ${limitTable.backoffBaseMs.value} ms and cap ${limitTable.backoffCapMs.value} ms. Each counts: after ${limitTable.retriesMax.value} retries, by default, the task is a dead letter.`,
    ),
    heading('durability'),
    paragraph(
      'A submit, a completion, a failure, a cancel and a change of routing are answered after they are on disk (SQLite, WAL, synchronous=FULL). After a restart of the broker tasks in progress wait 5 s for their collectors to come back with them, and are pending again otherwise, their attempts counted. When a commit fails the broker stops, and acknowledges nothing that came after. Submitting an id again adds nothing and says duplicate.',
    ),
    heading('see also'),
    paragraph('deye-task-submit(1), deye-protocol(7), deye-design(7)'),
  );
}
