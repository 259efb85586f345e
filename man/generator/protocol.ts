/** deye-protocol.7: everything a client's author needs, from the tables that the code itself runs on. */

import { accessRules } from '../../src/protocol/access.ts';
import { collectorMethods } from '../../src/protocol/collector-method.ts';
import { advice, callFaults, commonFaults, type FaultCode, faultTable } from '../../src/protocol/fault.ts';
import { encodeFrame, encodePublish, Kind, kindTable, protocolVersion } from '../../src/protocol/frame.ts';
import { limitTable } from '../../src/protocol/limits.ts';
import { methodTable } from '../../src/protocol/message.ts';
import { roles } from '../../src/protocol/schema.ts';
import { statusTopic } from '../../src/protocol/view-schema.ts';
import { limit, limitTerms, withLimitKeys } from './limits.ts';
import { nameTerms } from './names.ts';
import { example, header, heading, page, paragraph, subheading, term } from './roff.ts';
import { fieldsOf } from './shape.ts';

export function protocolPage(version: string): string {
  return page(
    header('deye-protocol', 7, 'deye manual', version),
    heading('name'),
    'deye\\-protocol \\- how programs and the broker talk to each other',
    ...connecting,
    ...frames,
    heading('names and values'),
    ...nameTerms,
    ...session,
    ...topics,
    ...backPressure,
    ...calls,
    ...requests,
    ...collecting,
    ...faults,
    heading('limits'),
    paragraph(
      'Each by its key under "limits" in deye.yaml, with its default. DEYE_LIMITS_ and the key in capitals overrides the file. A fixed one cannot be changed.',
    ),
    ...limitTerms,
    heading('see also'),
    paragraph('deye(1), deye-tasks(7), deye-store(7), deye-design(7)'),
  );
}

const hex = (bytes: Buffer): string =>
  (bytes.toString('hex').match(/.{1,32}/g) ?? []).map((line) => line.replace(/../g, '$& ').trim()).join('\n');

const connecting = [
  heading('connecting'),
  paragraph(
    `A stream socket of the Unix domain at $DEYE_SOCKET, else at $XDG_RUNTIME_DIR/deye/broker.sock, else at deye-UID/broker.sock under the temporary directory. Where deye.yaml names another (socket), commands and the SDK find it there, and deye broker status --json prints it. Before connecting, check that its directory is yours, has mode 0700 and is no symbolic link. This is protocol ${protocolVersion}: another major version is refused, a minor one only adds.`,
  ),
  paragraph(
    'On Windows the broker listens on a named pipe, whose name is \\\\.\\pipe\\deye- and the first 32 hex digits of the SHA-256 of the file "token" in the state directory. Before the first frame both sides prove that they can read that file: the client sends 32 random bytes c; the broker answers 32 random bytes s and HMAC-SHA-256(token, "broker" c s); the client sends HMAC-SHA-256(token, "client" c s).',
  ),
];

const frames = [
  heading('frames'),
  paragraph(
    `A frame is an unsigned 32-bit big-endian length, at most ${limit('frameBytesMax')}, and, of that length, one MessagePack array whose first element is the kind, a small integer. Strings are UTF-8. Extension types are refused, map keys are strings, and the key "__proto__" is refused. Values nest at most ${limitTable.decodeDepthMax.value} deep.`,
  ),
  ...Object.entries(kindTable).map(([name, { elements, from, summary }]) => {
    const kind = Kind[name as keyof typeof Kind];
    return term(
      `${kind}  ${name}  [${kind}, ${elements}]`,
      `From ${from === 'both' ? 'both sides' : `the ${from}`}. ${summary}`,
    );
  }),
  paragraph(
    'An id is chosen by the sender of the request, from 65536 to 4294967295, and is in use until the reply: another request under it meanwhile is refused with invalid_params. Every MessagePack library writes such a number as 0xce and four bytes, which lets the broker rewrite it in place. Elements after the last one you know are to be ignored. A frame ends with its array: bytes that are left over in it are malformed_frame.',
  ),
  subheading('Example: hello, then a message on a.b'),
  example(hex(encodeFrame([Kind.hello, { protocol: protocolVersion, name: 'me', role: 'operator' }]))),
  example(hex(encodePublish('a.b', { n: 1 }))),
];

const session = [
  heading('a session'),
  paragraph(
    `The client sends hello within ${limit('handshakeMs')}; nothing else is read before it, and it is at most ${limitTable.helloBytesMax.value} bytes long. The map holds protocol ("${protocolVersion}"), name, and, when wanted, version and role: ${roles.join(', ')}. Without one the role is operator. The broker answers welcome: protocol, version, session, limits {frame_bytes_max, ping_ms, idle_ms}. After ping_ms without a byte the broker sends a ping; a session that sends nothing for idle_ms is closed. A goodbye from the broker carries the fault that ended the session.`,
  ),
  paragraph(
    'An observer reads: it may use the methods that are for every role, subscribe to everything, call health_check and get_capabilities of a collector, and publish only where the rules below name it.',
  ),
  paragraph(
    'A client that loses its connection should come back after a random part of 100 ms, then of 200 ms, and so on up to 30 s, subscribe and register again, and repeat submits under their old ids.',
  ),
];

const observerTopics = accessRules.filter(({ publish }) => publish.includes('observer')).map(({ pattern }) => pattern);

const topics = [
  heading('topics'),
  paragraph(
    `A topic is 1 to ${limitTable.topicSegmentsMax.value} segments of a-z 0-9 _ - joined by dots, at most ${limitTable.topicBytesMax.value} bytes. In a pattern a segment may be * (or +), which is exactly one segment, and the last may be #, which is any number of them, also none. The roots system and debug are reserved. A subscriber gets a message once, however many of its patterns match.`,
  ),
  paragraph(
    `The first rule that matches a topic decides which roles may publish on it; every session may subscribe. An observer may publish on ${observerTopics.join(', ')}, and on nothing else.`,
  ),
  ...accessRules.map(({ name, pattern, publish, own, domains }) =>
    term(
      pattern,
      `${publish.length === 0 ? 'no session' : publish.join(', ')}${own === true ? ', and the collector whose id stands last' : ''}${domains === true ? '; on events.DOMAIN a collector only when it has registered that domain' : ''} (${name})`,
    ),
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
  term(statusTopic, 'once a second while it has subscribers: what the method broker.snapshot answers'),
  term('control.broker.shutdown', 'the broker begins to stop: grace_ms'),
  term('control.broker.clock', 'the wall clock was set, or the machine was suspended: by_ms, at_ms'),
  subheading('Realtime and confirmed'),
  paragraph(
    `A realtime publish (kind 2) is forwarded at once; a subscriber that is over its outbound limit loses it, and the loss is counted. A confirmed publish (kind 3) carries a sequence that grows from message to message; it waits for full subscribers. An ack [4, sequence, subscribers] is cumulative: every confirmed publish after the previous ack, up to and with sequence, was delivered to that many subscribers each. One ack may therefore stand for many publishes. A fourth element is the fault for which the publish of exactly this sequence was refused; those before it are acknowledged by an ack of their own. Sequence 0 stands for a realtime publish that was refused; a session gets the first ${limit('refusalsMax')} of those only.`,
  ),
  paragraph(
    'The broker does not look into bodies. Of nil, a boolean, a number, a string or bytes it checks by their header that they end where the frame ends, or before the headers; of a body that is a map or a list, of a body of another type, and of headers, nothing. So those that you get may be cut short, may hold what is refused elsewhere, and bytes may follow them: decode them within the frame, to its end. A body that cannot be decoded (malformed_body) is the fault of its sender: drop that message and go on. The same holds for the bodies of replies and chunks.',
  ),
];

const backPressure = [
  heading('back-pressure'),
  paragraph(
    `What the broker has to send to a session and the session has not read counts: replies, streamed parts, acks, refusals, pongs, messages and assignments. Beyond ${limit('outboundBytesMax')} the session is not served: its further frames are not read, it is given no tasks, and it loses realtime messages. Confirmed publishers of its topics wait. One that others or its own answers wait for and that stays over the limit for ${limit('slowGraceMs')} is disconnected with slow_consumer. A realtime publisher whose subscriber is full but read something within the last ${limitTable.stallRecentMs.value} ms is paused for at most ${limit('stallMs')} before the message is dropped. A caller that does not read a streamed answer gets caller_too_slow.`,
  ),
  paragraph(
    `So: read always, also while you write. A session that opens more than ${limit('waitsMax')} waits, or is one too many of ${limit('waitsTotalMax')} in all, gets too_many_waits; calls are bounded by ${limit('callsPerSessionMax')} and ${limit('callsMax')} in all.`,
  ),
];

const calls = [
  heading('calls'),
  paragraph(
    `A request to a collector id, or to any:OPERATION for a healthy collector that offers it, is forwarded, and its reply comes back under your id. timeout_ms travels with it: 0 or none means ${limitTable.callMsDefault.value}, at most ${limitTable.callMsMax.value}. At its end the caller gets deadline_exceeded and the callee a cancel; a callee that goes away fails the call at once; a cancel from the caller is passed on. The health_check of a collector that is not there is answered "unhealthy".`,
  ),
  paragraph(
    'A collector may not call start_collection, stop_collection, update_config or shutdown of another collector; an operator may.',
  ),
  paragraph(`The broker may refuse a call with ${callFaults.join(', ')}. Any other fault is the callee's own.`),
  ...Object.entries(collectorMethods).flatMap(([name, { summary, params, reply }]) => [
    subheading(`COLLECTOR ${name}`),
    paragraph(summary),
    ...fieldTerms('params', fieldsOf(params, 'input')),
    ...fieldTerms('reply', fieldsOf(reply, 'output')),
  ]),
];

const requests = [
  heading('requests to the broker'),
  paragraph(
    `The target is "broker". Unknown fields of params are refused. A name with ? may be left out. "Durable" means that the reply comes after the change is on disk. timeout_ms is used by task.wait alone: the wait ends with deadline_exceeded at its end, at the latest after ${limit('waitMsMax')}; the task goes on, and a client that wants longer waits again. Any request may be refused with ${commonFaults.join(', ')}.`,
  ),
  ...Object.entries(methodTable).flatMap(([name, { summary, roles: who, durable, faults: own, params, reply }]) => [
    subheading(name),
    paragraph(
      withLimitKeys(
        `${summary} For ${who.length === roles.length ? 'every role' : who.join(' and ')}.${durable ? ' Durable.' : ''}${own.length === 0 ? '' : ` May be refused with ${own.join(', ')}.`}`,
      ),
    ),
    ...fieldTerms('params', fieldsOf(params, 'input')),
    ...fieldTerms('reply', fieldsOf(reply, 'output')),
  ]),
];

const collecting = [
  heading('being a collector'),
  paragraph(
    'Send hello in the role collector, then collector.register. Tasks come as publishes on the topic that the reply names; their body is a map:',
  ),
  term('kind', '"assign", or "cancel": drop that attempt; then only task_id, token and reason follow'),
  term('task_id, operation, priority, metadata, correlation, payload', 'as submitted'),
  term('attempt', 'counts from 1'),
  term(
    'token',
    'fences this attempt: every answer and every lease names it, and an answer with another one is refused with stale_lease. Opaque: compare tokens for equality only',
  ),
  term(
    'timeout_ms',
    `time limit of this attempt, from now; then a cancel comes, and after ${limit('cancelGraceMs')} the attempt is failed`,
  ),
  term('lease_ms', 'the attempt is taken away unless a heartbeat renews it in this time'),
  paragraph(
    'Answer each attempt once, with task.complete or task.fail, under its task_id and token. Send collector.heartbeat every heartbeat_ms with the leases {task_id, token} you still hold; drop those that its reply calls lost. After a reconnect register again with leases; go on only with those that the reply calls reclaimed. Answer the calls above.',
  ),
];

const codesThat = (closes: boolean): string =>
  Object.keys(faultTable)
    .filter((code) => faultTable[code as FaultCode].closes === closes)
    .join(', ');

const faults = [
  heading('faults'),
  paragraph(
    'A fault is a map: code, message, category, retry (the same may succeed later), context (plain values; retry_after_ms where it makes sense). The message says what happened and what to do.',
  ),
  paragraph(`These end the session, in a goodbye: ${codesThat(true)}. All others leave it open.`),
  ...Object.entries(faultTable).map(([code, { summary, category, closes, retry, exit }]) =>
    term(
      code,
      `${[summary, advice[code as FaultCode]].join(' ').trim().replace(/[^.]$/, '$&.')} Category ${category}${closes ? '; ends the session' : ''}${retry ? '; may succeed later' : ''}; exit code ${exit}.`,
    ),
  ),
];

function fieldTerms(what: string, fields: readonly (readonly [string, string])[]): string[] {
  return fields.length === 0 ? [] : [paragraph(`${what}:`), ...fields.map(([name, text]) => term(`  ${name}`, text))];
}
