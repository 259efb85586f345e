/** The routing strategy and its decisions as people read them. */
import type { RoutingView } from '../protocol/view-schema.ts';
import { plain } from '../text/plain.ts';
import { pairs, table } from './table.ts';

export function routingText(routing: RoutingView): string {
  const { strategy, per_operation, strategies, decisions, by_collector, plans_dropped } = routing;
  const head = pairs([
    ['strategy', plain(strategy)],
    ...Object.entries(per_operation).map(([operation, own]): [string, string] => [
      `for ${plain(operation)}`,
      plain(own),
    ]),
    ['plans dropped', plans_dropped === 0 ? undefined : String(plans_dropped)],
  ]);
  const known = table(Object.entries(strategies), [
    { title: 'STRATEGY', value: ([name]) => plain(name) },
    { title: 'DECISIONS', value: ([name]) => String(decisions[name] ?? 0), right: true },
    { title: 'WHAT IT DOES', value: ([, summary]) => plain(summary) },
  ]);
  const rows = Object.entries(by_collector);
  const given = table(rows, [
    { title: 'COLLECTOR', value: ([id]) => plain(id) },
    { title: 'TASKS GIVEN', value: ([, count]) => String(count), right: true },
  ]);
  return [head, known, ...(rows.length === 0 ? [] : [given])].join('\n\n');
}
