/**
 * The inbound end of a session for publishes. Adjacent frames with the same topic form a run that leaves as one slice:
 *
 *     chunk  │ a a a a a │ b │ a a │        three runs, three pushes, whatever the number of frames
 *
 * Nothing here makes an object, a string or a closure per message.
 */
import { type Fault, fault } from '../protocol/fault.ts';
import { encodeFrame, Kind, readUint } from '../protocol/frame.ts';
import { MalformedError } from '../protocol/msgpack.ts';
import type { Role } from '../protocol/schema.ts';
import type { Relay } from './relay.ts';
import type { Route } from './route.ts';
import type { Subscriber } from './subscription.ts';

export interface Publisher {
  readonly role: Role;
  readonly self: Subscriber;
  /** Domains of `events.` that a collector has registered. */
  readonly domains: ReadonlySet<string>;
  /** Goes on reading where the inlet refused to take a frame. */
  readonly resume: () => void;
}

const noBytes = Buffer.alloc(0);
const refusalsMax = 100;

export class Inlet {
  readonly #relay: Relay;
  readonly #publisher: Publisher;
  #bytes: Buffer = noBytes;
  #start = 0;
  #end = 0;
  #count = 0;
  #route: Route | undefined;
  // Where the topic of the run's latest frame stands, and how long it is, its header included.
  #topicAt = 0;
  #topicLength = 0;
  #sequence = 0;
  #ackFor = 0;
  #ackCount = 0;
  #refused = 0;

  constructor(relay: Relay, publisher: Publisher) {
    this.#relay = relay;
    this.#publisher = publisher;
  }

  /** Takes a realtime publish. Throws MalformedError. */
  realtime(bytes: Buffer, start: number, end: number): void {
    const follows = bytes === this.#bytes && start === this.#end && start + 6 + this.#topicLength < end;
    if (follows && this.#sameTopic(bytes, start + 6)) {
      this.#topicAt = start + 6;
      this.#end = end;
      this.#count++;
    } else this.#begin(bytes, start, end, start + 6, 3);
  }

  /** Takes a processed publish; false when a full subscriber holds it up: then nothing was taken, and `resume` follows. */
  processed(bytes: Buffer, start: number, end: number): boolean {
    const { value: sequence, after } = readUint(bytes, start + 6, end);
    if (sequence <= this.#sequence)
      throw new MalformedError(`publish sequence ${sequence} does not follow ${this.#sequence}`);
    this.#begin(bytes, start, end, after, 4);
    const route = this.#route;
    if (route !== undefined && this.#relay.holdFor(route, this)) {
      this.#route = undefined;
      this.#bytes = noBytes;
      return false;
    }
    this.#sequence = sequence;
    const count = route?.subscribers.length ?? 0;
    if (this.#ackFor !== 0 && this.#ackCount !== count) this.#sendAck();
    if (route === undefined) return true; // refused, and said so
    this.#handRun();
    this.#ackFor = sequence;
    this.#ackCount = count;
    return true;
  }

  /** Hands over what was taken. Call at the end of every chunk and before any other frame of the session. */
  flush(): void {
    this.#handRun();
    if (this.#ackFor !== 0) this.#sendAck();
  }

  resume(): void {
    this.#publisher.resume();
  }

  /** Starts a new run with this frame. `elements` is the least the array must hold. */
  #begin(bytes: Buffer, start: number, end: number, topicAt: number, elements: 3 | 4): void {
    this.#handRun();
    const array = bytes[start + 4]!;
    if (array !== 0x90 + elements && array !== 0x91 + elements)
      throw new MalformedError(`a publish has ${elements} or ${elements + 1} elements`);
    const head = bytes[topicAt] ?? 0;
    const short = (head & 0xe0) === 0xa0;
    const text = short ? topicAt + 1 : topicAt + 2;
    const textEnd = short ? text + (head & 0x1f) : head === 0xd9 ? text + (bytes[topicAt + 1] ?? 0) : -1;
    if (textEnd === -1 || textEnd >= end)
      throw new MalformedError('a publish needs a topic of at most 255 bytes, and a body');
    const route = this.#relay.routes.at(bytes, text, textEnd);
    const refusal = this.#refusal(route);
    if (refusal !== undefined) {
      this.#refuse(refusal, elements === 4 ? readUint(bytes, start + 6, end).value : 0);
      return;
    }
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#count = 1;
    this.#route = route;
    this.#topicAt = topicAt;
    this.#topicLength = textEnd - topicAt;
  }

  /** Whether the topic at `at` is, byte for byte, the one of the run. Compared from its end, where topics differ. */
  #sameTopic(bytes: Buffer, at: number): boolean {
    const known = this.#topicAt;
    for (let offset = this.#topicLength - 1; offset >= 0; offset--)
      if (bytes[known + offset] !== bytes[at + offset]) return false;
    return bytes[at - 2] === bytes[known - 2]; // the array headers
  }

  #handRun(): void {
    const route = this.#route;
    if (route === undefined) return;
    this.#route = undefined;
    this.#relay.hand(route, this.#bytes, this.#start, this.#end, this.#count);
    this.#bytes = noBytes;
  }

  #refusal(route: Route): Fault | undefined {
    if (route.broken !== undefined) return route.broken;
    const { role, domains } = this.#publisher;
    const rule = route.refusals[role];
    if (rule !== undefined)
      return fault('not_allowed', `A session in the role ${role} may not publish on ${route.topic}: ${rule}.`, {
        topic: route.topic,
        rule,
      });
    if (role === 'collector' && route.domain !== undefined && !domains.has(route.domain))
      return fault(
        'not_allowed',
        `This collector has not registered the event domain "${route.domain}", so it may not publish on ${route.topic}.`,
        { topic: route.topic, rule: 'event domain' },
      );
    return undefined;
  }

  /** Says that a publish was refused: in the ack that it asked for, or, for realtime ones, as sequence 0 and at most 100 times. */
  #refuse(refusal: Fault, sequence: number): void {
    this.#route = undefined;
    if (sequence === 0 && ++this.#refused > refusalsMax) return;
    if (this.#ackFor !== 0) this.#sendAck();
    this.#publisher.self.link.send(encodeFrame([Kind.ack, sequence, 0, refusal]));
  }

  #sendAck(): void {
    this.#publisher.self.link.send(encodeFrame([Kind.ack, this.#ackFor, this.#ackCount]));
    this.#ackFor = 0;
  }
}
