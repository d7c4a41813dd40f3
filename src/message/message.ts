// The neutral message: what all protocols agree on (docs/mapping.md §1). Protocols translate into it and out of it.
//
// The payload is a range of a larger buffer, not a copy: while a message is on its way to peers that are connected now, that
// buffer is what the socket delivered. Who wants to keep a message beyond the current turn calls `kept()` first.

import type { Attributes } from './attributes.ts';

/** 0 at most once, 1 at least once, 2 exactly once. */
export type Guarantee = 0 | 1 | 2;

export const defaultPriority = 4;

export class Message {
  readonly topic: string;
  /** The topic in UTF-8; shared between messages of a topic, never written to. */
  readonly topicBytes: Uint8Array;
  /** Holds the payload from `start` to `end`. Only `relocate` changes these three. */
  buffer: Uint8Array;
  start: number;
  end: number;
  readonly guarantee: Guarantee;
  /** The publisher asked to set the last value of the topic. */
  readonly retain: boolean;
  /** 0 to 9. */
  readonly priority: number;
  /** Milliseconds since the epoch after which the message must not be delivered; 0: never expires. */
  readonly expiresAtMs: number;
  /** When the broker took the message; set by the broker, never by the peer. */
  readonly acceptedAtMs: number;
  /** Id of the principal that sent it; set by the broker, never by the peer. */
  readonly sender: string;
  /** The fields that most messages do not have. */
  readonly attributes: Attributes | undefined;

  constructor(
    topic: string,
    topicBytes: Uint8Array,
    buffer: Uint8Array,
    start: number,
    end: number,
    guarantee: Guarantee,
    retain: boolean,
    priority: number,
    expiresAtMs: number,
    acceptedAtMs: number,
    sender: string,
    attributes: Attributes | undefined,
  ) {
    this.topic = topic;
    this.topicBytes = topicBytes;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.guarantee = guarantee;
    this.retain = retain;
    this.priority = priority;
    this.expiresAtMs = expiresAtMs;
    this.acceptedAtMs = acceptedAtMs;
    this.sender = sender;
    this.attributes = attributes;
  }

  get payloadBytes(): number {
    return this.end - this.start;
  }

  /** A view of the payload; valid as long as `buffer` is. */
  payload(): Uint8Array {
    return this.buffer.subarray(this.start, this.end);
  }

  /** The broker has copied the payload to where it keeps it: the same bytes, stored elsewhere. */
  relocate(buffer: Uint8Array, start: number, end: number): void {
    this.buffer = buffer;
    this.start = start;
    this.end = end;
  }

  /** The same message on a payload of its own, which may be kept. */
  kept(): Message {
    // Not `slice`: that of a Buffer, which sockets hand out, is a view.
    const own = new Uint8Array(this.payload());
    return new Message(
      this.topic,
      this.topicBytes,
      own,
      0,
      own.length,
      this.guarantee,
      this.retain,
      this.priority,
      this.expiresAtMs,
      this.acceptedAtMs,
      this.sender,
      this.attributes,
    );
  }
}
