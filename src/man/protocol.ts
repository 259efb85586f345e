/** deye-protocol.7: everything a client's author needs, from the tables that the code itself runs on. */
import { faultTable } from '../protocol/fault.ts';
import { encodeFrame, encodePublish, Kind, kindTable, protocolVersion } from '../protocol/frame.ts';
import { limitTable } from '../protocol/limits.ts';
import { collectorMethods, methodTable } from '../protocol/message.ts';
import { statusTopic } from '../protocol/schema.ts';
import { accessRules } from '../protocol/topic.ts';
import { example, header, heading, page, paragraph, subheading, term } from './roff.ts';
import { fieldsOf } from './shape.ts';

const hex = (bytes: Buffer): string =>
  (bytes.toString('hex').match(/.{1,32}/g) ?? []).map((line) => line.replace(/../g, '$& ').trim()).join('\n');

const assignmentFields: readonly (readonly [string, string])[] = [
  ['kind', '"assign", or "cancel": drop that attempt; then only task_id, attempt and reason follow'],
  ['task_id, operation, priority, metadata, correlation, payload', 'as submitted'],
  ['attempt', 'counts from 1; an answer must carry it, and an answer with an older one is refused with stale_lease'],
  ['timeout_ms', 'time limit of this attempt, from now; then a cancel comes, and after a grace the attempt is failed'],
  ['lease_ms', 'the attempt is taken away unless a heartbeat renews it in this time'],
];

export function protocolPage(version: string): string {
  return page(
    header('deye-protocol', 7, 'deye manual', version),
    heading('name'),
    'deye\\-protocol \\- what programs and the broker say to each other',
    heading('connecting'),
    paragraph(
      `A stream socket of the Unix domain at $DEYE_SOCKET, else $XDG_RUNTIME_DIR/deye/broker.sock, else deye-UID/broker.sock under the temporary directory. Before connecting, look that its directory is yours, has mode 0700 and is no symbolic link. This is protocol ${protocolVersion}: another major version is refused, a minor one only adds.`,
    ),
    paragraph(
      'On Windows the broker listens on a named pipe, whose name is \\\\.\\pipe\\deye- and the first 32 hex digits of the SHA-256 of the file "token" in the state directory. Before the first frame both sides prove that they can read that file: the client sends 32 random bytes c; the broker answers 32 random bytes s and HMAC-SHA-256(token, "broker" c s); the client sends HMAC-SHA-256(token, "client" c s).',
    ),
    heading('frames'),
    paragraph(
      'A frame is an unsigned 32-bit big-endian length and, of that length, one MessagePack array whose first element is the kind, a small integer. Strings are UTF-8. Extension types are refused, map keys are strings, and the key "__proto__" is refused. Values nest at most 64 deep.',
    ),
    ...Object.entries(kindTable).map(([name, { elements, from, summary }]) =>
      term(
        `${Kind[name as keyof typeof Kind]}  ${name}  [${Kind[name as keyof typeof Kind]}, ${elements}]`,
        `From ${from === 'both' ? 'both sides' : `the ${from}`}. ${summary}`,
      ),
    ),
    paragraph(
      'An id is chosen by whoever sends the request, from 65536 to 4294967295, and is in use until the reply. Every MessagePack library writes such a number as 0xce and four bytes, which lets the broker rewrite it in place. Elements after the last one you know are to be ignored.',
    ),
    subheading('Example: hello, then a message on a.b'),
    example(hex(encodeFrame([Kind.hello, { protocol: protocolVersion, name: 'me', role: 'operator' }]))),
    example(hex(encodePublish('a.b', { n: 1 }))),
    heading('a session'),
    paragraph(
      `The client says hello within ${limitTable.handshakeMs.value} ms; nothing else is read before it. The map holds protocol ("${protocolVersion}"), name, and, when wanted, version and role: operator (the default), collector, or observer, which may only look. The broker answers welcome: protocol, version, session, limits {frame_bytes_max, ping_ms, idle_ms}. After ping_ms of silence the broker sends a ping; a session that says nothing for idle_ms is dropped. A goodbye from the broker carries the fault that ended the session.`,
    ),
    paragraph(
      'A client that loses its connection should come back after a random part of 100 ms, then of 200 ms, and so on up to 30 s, subscribe and register again, and repeat submits under their old ids.',
    ),
    heading('topics'),
    paragraph(
      `A topic is 1 to ${limitTable.topicSegmentsMax.value} segments of a-z 0-9 _ - joined by dots, at most ${limitTable.topicBytesMax.value} bytes. In a pattern a segment may be * (or +), which is exactly one segment, and the last may be #, which is any number of them, also none. The roots system and debug are reserved. A subscriber gets a message once, however many of its patterns match.`,
    ),
    paragraph(
      'The first rule that matches a topic says who may publish on it; everybody may subscribe. A collector publishes on events.DOMAIN only when it has registered that domain.',
    ),
    ...accessRules.map(({ name, pattern, publish }) =>
      term(pattern, `${publish.length === 0 ? 'nobody' : publish.join(', ')} (${name})`),
    ),
    subheading('Topics of the broker'),
    term(
      'control.tasks.TYPE.ID',
      'tasks handed to collector ID, and cancels; the collector gets them without subscribing',
    ),
    term(
      'tasks.lifecycle.STATE',
      'each time a task changes its state: task_id, operation, state, attempt, collector_id, strategy, correlation',
    ),
    term(
      'control.collector.registration, control.collector.status',
      'collectors come, go and change: collector_id, collector_type, status, reason',
    ),
    term(statusTopic, 'once a second while somebody subscribes: what the method snapshot answers'),
    term('control.broker.shutdown', 'the broker begins to stop'),
    subheading('Two qualities'),
    paragraph(
      'A publish (kind 2) is forwarded at once or, for a subscriber that is over its outbound limit, lost and counted. A publish with a ack (kind 3) carries a sequence that grows from message to message; it waits for full subscribers, and one that stays full past the grace is disconnected with slow_consumer. A ack [4, sequence, subscribers] is cumulative: every such publish after the last ack, up to sequence, was handed to that many subscribers each. A fourth element is the fault for which the publish of exactly this sequence was refused; sequence 0 stands for a realtime one.',
    ),
    paragraph(
      'The broker does not look into bodies. A body that cannot be decoded is the fault of its sender: drop that message and go on.',
    ),
    heading('calls'),
    paragraph(
      `A request to a collector id, or to any:OPERATION for a healthy collector that offers it, is forwarded, and its reply comes back under your id. deadline_ms travels with it: 0 means ${limitTable.callMsDefault.value}, at most ${limitTable.callMsMax.value}. At the deadline the caller gets deadline_exceeded and the callee a cancel; a callee that goes away fails the call at once; a cancel from the caller is passed on. The health_check of a collector that is not there is answered "unhealthy".`,
    ),
    ...Object.entries(collectorMethods).flatMap(([name, { summary, params, reply }]) => [
      subheading(`COLLECTOR ${name}`),
      paragraph(summary),
      ...fieldTerms('params', fieldsOf(params, 'input')),
      ...fieldTerms('reply', fieldsOf(reply, 'output')),
    ]),
    heading('requests to the broker'),
    paragraph(
      'The target is "broker". Unknown fields of params are refused. A name with ? may be left out. "Durable" means that the reply comes after the change is on disk.',
    ),
    ...Object.entries(methodTable).flatMap(([name, { summary, roles, durable, faults, params, reply }]) => [
      subheading(name),
      paragraph(
        `${summary} For ${roles.length === 3 ? 'everybody' : roles.join(' and ')}.${durable ? ' Durable.' : ''}${faults.length === 0 ? '' : ` May be refused with ${faults.join(', ')}.`}`,
      ),
      ...fieldTerms('params', fieldsOf(params, 'input')),
      ...fieldTerms('reply', fieldsOf(reply, 'output')),
    ]),
    heading('being a collector'),
    paragraph(
      'Say hello in the role collector, then collector.register. Tasks come as publishes on the topic that the reply names; their body is a map:',
    ),
    ...assignmentFields.map(([name, text]) => term(name, text)),
    paragraph(
      'Answer each attempt once, with task.complete or task.fail. Send collector.heartbeat every heartbeat_ms with the attempts you still hold; drop those it calls lost. After a reconnect register again with leases; go on only with those in kept. Answer the calls above.',
    ),
    heading('faults'),
    paragraph(
      'A fault is a map: code, message, category, retry (the same may succeed later), context (plain values; retry_after_ms where it makes sense).',
    ),
    ...Object.entries(faultTable).map(([code, { summary, category, closes, retry, exit }]) =>
      term(
        code,
        `${summary} Category ${category}${closes ? '; ends the session' : ''}${retry ? '; may succeed later' : ''}; exit code ${exit}.`,
      ),
    ),
    heading('limits'),
    ...Object.entries(limitTable).map(([name, { value, unit, summary, configurable }]) =>
      term(`${name} ${value} ${unit}`, `${summary}${configurable ? '' : '; fixed'}`),
    ),
    heading('see also'),
    paragraph('deye(1), deye-tasks(7), deye-design(7)'),
  );
}

function fieldTerms(what: string, fields: readonly (readonly [string, string])[]): string[] {
  return fields.length === 0 ? [] : [paragraph(`${what}:`), ...fields.map(([name, text]) => term(`  ${name}`, text))];
}
