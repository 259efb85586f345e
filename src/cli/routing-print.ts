/** The routing strategy and its decisions as people read them. */
import type { RoutingView } from '../protocol/schema.ts';
import { plain } from '../tui/text.ts';
import { pairs, table } from './table.ts';

export function routingText({ strategy, per_operation, decisions, by_collector }: RoutingView): string {
  const head = pairs([
    ['strategy', strategy],
    ...Object.entries(per_operation).map(([operation, own]): [string, string] => [`for ${plain(operation)}`, own]),
    ...Object.entries(decisions).map(([name, count]): [string, string] => [`decided by ${name}`, String(count)]),
  ]);
  const rows = Object.entries(by_collector);
  return rows.length === 0
    ? head
    : `${head}\n\n${table(rows, [
        { title: 'COLLECTOR', value: ([id]) => plain(id) },
        { title: 'TASKS GIVEN', value: ([, count]) => String(count), right: true },
      ])}`;
}
