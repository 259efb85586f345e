/**
 * The inbound end of a session for publishes. Adjacent frames with the same topic form a run that leaves as one slice:
 *
 *     chunk  │ a a a a a │ b │ a a │        three runs, three pushes, whatever the number of frames
 *
 * A realtime publish makes no object, no string and no closure here.
 */
import { checkElement } from '../protocol/body.ts';
import type { Fault } from '../protocol/fault.ts';
import { encodeFrame, Kind, readUint } from '../protocol/frame.ts';
import { MalformedError } from '../protocol/msgpack.ts';
import type { Holdable } from './holds.ts';
import type { Publisher } from './peer.ts';
import type { Relay } from './relay.ts';
import { publishRefusal, type Route } from './route.ts';

const noBytes = Buffer.alloc(0);

export class Inlet implements Holdable {
  /** Goes on reading where a frame was not taken. */
  readonly resume: () => void;
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

  constructor(relay: Relay, publisher: Publisher, resume: () => void) {
    this.#relay = relay;
    this.#publisher = publisher;
    this.resume = resume;
  }

  /** Whether a full peer makes this publisher wait. */
  get isHeld(): boolean {
    return this.#relay.holds.isHeld(this);
  }

  /** Accepts a realtime publish; false when a full peer holds it up: then nothing was accepted, and `resume` follows. */
  realtime(bytes: Buffer, start: number, end: number): boolean {
    const follows = bytes === this.#bytes && start === this.#end && start + 6 + this.#topicLength < end;
    // A frame as long as the one before, with the same header of its body, ends as that did: it need not be looked at.
    const isAlike = follows && end - start === this.#end - this.#topicAt + 6 && this.#isSame(bytes, start + 6, 5);
    if (isAlike || (follows && this.#isSame(bytes, start + 6, 0))) {
      if (!isAlike) checkElement(bytes, start, end, start + 6 + this.#topicLength, 2);
      this.#topicAt = start + 6;
      this.#end = end;
      this.#count++;
      return true;
    }
    this.#deliverRun();
    if (this.isHeld) return false;
    this.#begin(bytes, start, end, start + 6, 3);
    return true;
  }

  /** Accepts a confirmed publish; false when a full peer holds it up: then nothing was accepted, and `resume` follows. */
  confirmed(bytes: Buffer, start: number, end: number): boolean {
    const { value: sequence, after } = readUint(bytes, start + 6, end);
    if (sequence <= this.#sequence)
      throw new MalformedError(`publish sequence ${sequence} does not follow ${this.#sequence}`);
    this.#deliverRun();
    if (this.isHeld) return false;
    this.#begin(bytes, start, end, after, 4);
    const route = this.#route;
    if (route !== undefined && this.#holdFor(route)) {
      this.#route = undefined;
      this.#bytes = noBytes;
      return false;
    }
    this.#sequence = sequence;
    const count = route?.peers.length ?? 0;
    if (this.#ackFor !== 0 && this.#ackCount !== count) this.#sendAck();
    if (route === undefined) return true; // refused, in an ack
    this.#deliverRun();
    this.#ackFor = sequence;
    this.#ackCount = count;
    return true;
  }

  /** Delivers what was accepted. Call at the end of every chunk and before any other frame of the session. */
  flush(): void {
    this.#deliverRun();
    if (this.#ackFor !== 0) this.#sendAck();
  }

  /** Starts a new run with this frame. `elements` is the least the array must hold. */
  #begin(bytes: Buffer, start: number, end: number, topicAt: number, elements: 3 | 4): void {
    const array = bytes[start + 4]!;
    if (array !== 0x90 + elements && array !== 0x91 + elements)
      throw new MalformedError(`a publish has ${elements} or ${elements + 1} elements`);
    const head = bytes[topicAt] ?? 0;
    const short = (head & 0xe0) === 0xa0;
    const text = short ? topicAt + 1 : topicAt + 2;
    const textEnd = short ? text + (head & 0x1f) : head === 0xd9 ? text + (bytes[topicAt + 1] ?? 0) : -1;
    if (textEnd === -1 || textEnd >= end)
      throw new MalformedError('a publish needs a topic of at most 255 bytes, and a body');
    checkElement(bytes, start, end, textEnd, elements - 1);
    const route = this.#relay.routes.at(bytes, text, textEnd);
    const refusal = publishRefusal(route, this.#publisher.principal);
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
  /** Whether the topic at `at`, and so many bytes behind it, are those of the frame before. */
  #isSame(bytes: Buffer, at: number, more: number): boolean {
    const known = this.#topicAt;
    for (let offset = this.#topicLength + more - 1; offset >= 0; offset--)
      if (bytes[known + offset] !== bytes[at + offset]) return false;
    return bytes[at - 2] === bytes[known - 2]; // the array headers
  }

  #deliverRun(): void {
    const route = this.#route;
    if (route === undefined) return;
    this.#route = undefined;
    this.#relay.deliver(route, this.#bytes, this.#start, this.#end, this.#count, this);
    this.#bytes = noBytes;
  }

  /** Whether a peer of the route is over its limit; its grace runs from then on. */
  #holdFor(route: Route): boolean {
    let held = false;
    for (const peer of route.peers) held = this.#relay.holds.hold(peer, this) || held;
    return held;
  }

  /** Answers a refused publish: in its ack, or, for a realtime one, as sequence 0 and at most `refusalsMax` times. */
  #refuse(refusal: Fault, sequence: number): void {
    this.#route = undefined;
    if (sequence === 0 && ++this.#refused > this.#relay.limits.refusalsMax) return;
    if (this.#ackFor !== 0) this.#sendAck();
    this.#publisher.peer.link.send(encodeFrame([Kind.ack, sequence, 0, refusal]));
  }

  #sendAck(): void {
    this.#publisher.peer.link.send(encodeFrame([Kind.ack, this.#ackFor, this.#ackCount]));
    this.#ackFor = 0;
  }
}
