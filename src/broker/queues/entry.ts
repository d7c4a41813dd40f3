// A message in a queue: where it stands there, and on which way to whom. There may be millions, so that each byte counts.

import type { Guarantee } from '../../message/message.ts';
import type { Queue } from './queue.ts';
import type { EntryFields, EntryState } from '../journal/records.ts';
import type { Stored } from '../journal/stored.ts';

/** Who has a delivery under way. */
export interface EntryOwner {
  /** Names the session across shards; see Shard.sessionKey. */
  readonly key: number;
  /** It is a part of a connection: what it has under way goes back when it is over. */
  readonly isPart: boolean;
}

/** What an entry is or has, in the bits of one number. */
const Bit = { retained: 16, counted: 32, redelivered: 64, gone: 128, waits: 256, marked: 512, sent: 1024 } as const;
const sendAsShift = 2;
const deliveryCountShift = 12;
const maxDeliveryCount = 0xffff;

export class Entry implements EntryFields {
  readonly queue: Queue;
  readonly position: number;
  readonly subscriptionIds: readonly number[] | undefined;
  /** The message; undefined once the peer has received an exactly-once one. */
  stored: Stored | undefined;
  /** The last journal row that says something about this entry: it may go out when that row is durable. 0: not journaled. */
  row = 0;
  state: EntryState = 'ready';
  deliveryId = 0;
  /** Orders deliveries of one peer whose ids have begun again in between; see DeliveryTable. */
  deliveryLap = 0;
  owner: EntryOwner | undefined = undefined;
  /** Names the connection that published it, as long as the node runs; 0: none. */
  publisher = 0;
  /** Neighbours while it waits; see ReadyList. */
  before: Entry | undefined = undefined;
  after: Entry | undefined = undefined;
  #bits: number;

  constructor(
    queue: Queue,
    position: number,
    guarantee: Guarantee,
    retained: boolean,
    subscriptionIds: readonly number[] | undefined,
    stored: Stored | undefined,
  ) {
    this.queue = queue;
    this.position = position;
    this.subscriptionIds = subscriptionIds;
    this.stored = stored;
    this.#bits = guarantee | (guarantee << sendAsShift) | (retained ? Bit.retained : 0);
  }

  get queueId(): number {
    return this.queue.id;
  }

  get guarantee(): Guarantee {
    return (this.#bits & 3) as Guarantee;
  }

  /** The guarantee it was sent with: a consumer may have asked for less than the message's. */
  get sendAs(): Guarantee {
    return ((this.#bits >> sendAsShift) & 3) as Guarantee;
  }

  set sendAs(guarantee: Guarantee) {
    this.#bits = (this.#bits & ~(3 << sendAsShift)) | (guarantee << sendAsShift);
  }

  /** Delivered with the retain flag. */
  get retained(): boolean {
    return (this.#bits & Bit.retained) !== 0;
  }

  /** It counts against the receive maximum of the connection its owner has now. */
  get counted(): boolean {
    return (this.#bits & Bit.counted) !== 0;
  }

  set counted(on: boolean) {
    this.#set(Bit.counted, on);
  }

  get redelivered(): boolean {
    return (this.#bits & Bit.redelivered) !== 0;
  }

  set redelivered(on: boolean) {
    this.#set(Bit.redelivered, on);
  }

  /** It has left its queue. */
  get gone(): boolean {
    return (this.#bits & Bit.gone) !== 0;
  }

  set gone(on: boolean) {
    this.#set(Bit.gone, on);
  }

  /** The connection that its owner has now was told of it. */
  get sent(): boolean {
    return (this.#bits & Bit.sent) !== 0;
  }

  set sent(on: boolean) {
    this.#set(Bit.sent, on);
  }

  /** It is in its queue's list of what waits. */
  get waits(): boolean {
    return (this.#bits & Bit.waits) !== 0;
  }

  set waits(on: boolean) {
    this.#set(Bit.waits, on);
  }

  /** A cursor may stand at it; see QueueCursor. */
  get marked(): boolean {
    return (this.#bits & Bit.marked) !== 0;
  }

  set marked(on: boolean) {
    this.#set(Bit.marked, on);
  }

  /** How often delivering it has failed. */
  get deliveryCount(): number {
    return this.#bits >>> deliveryCountShift;
  }

  set deliveryCount(count: number) {
    this.#bits = (this.#bits & ((1 << deliveryCountShift) - 1)) | (Math.min(count, maxDeliveryCount) << deliveryCountShift);
  }

  /** Higher ones are delivered first. */
  get level(): number {
    return this.queue.rules.priorities ? this.stored!.priority : 0;
  }

  #set(bit: number, on: boolean): void {
    this.#bits = on ? this.#bits | bit : this.#bits & ~bit;
  }
}
