// Which messages have been received, so that a repetition is recognised and answered like the first (RFC 7252 §4.5). Bounded in
// entries and bytes, of one peer and of all: the oldest are forgotten first. Entries are used again, so that a busy peer makes no garbage.

import type { Clock } from '../../../base/clock.ts';
import type { Counters } from '../counters.ts';
import { exchangeLifetimeMs, nonLifetimeMs, type TransportOptions } from '../transport-options.ts';

/** What a repetition is answered with. */
export const Remembered = {
  /** By nothing: the answer is still to come, or there is none. */
  silence: 0,
  /** By an empty acknowledgement. */
  acknowledged: 1,
  reset: 2,
  /** By the same datagram as before. */
  answered: 3,
} as const;
export type Remembered = (typeof Remembered)[keyof typeof Remembered];

/** Memory of an entry without its answer, estimated. */
const entryBytes = 128;
const noAnswer = new Uint8Array(0);

export class ReceivedMessage {
  peer: PeerMessages;
  messageId: number;
  untilMs: number;
  /** Changes when the entry is used for another message. */
  serial = 0;
  state: Remembered = Remembered.silence;
  /** Kept with the entry, larger than it must be. */
  #buffer: Uint8Array = noAnswer;
  #answerBytes = 0;
  /** Of all peers. */
  older: ReceivedMessage | undefined = undefined;
  newer: ReceivedMessage | undefined = undefined;
  /** Of its own peer. A Map would know the order, too, but finds its first entry only behind the holes of those deleted. */
  olderOfPeer: ReceivedMessage | undefined = undefined;
  newerOfPeer: ReceivedMessage | undefined = undefined;

  constructor(peer: PeerMessages, messageId: number, untilMs: number) {
    this.peer = peer;
    this.messageId = messageId;
    this.untilMs = untilMs;
  }

  /** A copy: what was sent once must not change. */
  get answer(): Uint8Array {
    return this.#buffer.slice(0, this.#answerBytes);
  }

  get bytes(): number {
    return entryBytes + this.#buffer.length;
  }

  store(answer: Uint8Array): void {
    const { length } = answer;
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(Math.max(32, length));
    if (length > 32) this.#buffer.set(answer);
    else for (let i = 0; i < length; i++) this.#buffer[i] = answer[i]!;
    this.#answerBytes = length;
  }

  /** For another message. A large buffer is not kept for what may be small. */
  reuse(peer: PeerMessages, messageId: number, untilMs: number): void {
    this.peer = peer;
    this.messageId = messageId;
    this.untilMs = untilMs;
    this.serial++;
    this.state = Remembered.silence;
    this.#answerBytes = 0;
    if (this.#buffer.length > 64) this.#buffer = noAnswer;
  }
}

/** Those of all peers, oldest first. */
export class ReceivedMessages {
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #options: TransportOptions;
  readonly #confirmableMs: number;
  readonly #nonConfirmableMs: number;
  #oldest: ReceivedMessage | undefined = undefined;
  #newest: ReceivedMessage | undefined = undefined;

  constructor(clock: Clock, counters: Counters, options: TransportOptions) {
    this.#clock = clock;
    this.#counters = counters;
    this.#options = options;
    this.#confirmableMs = exchangeLifetimeMs(options);
    this.#nonConfirmableMs = nonLifetimeMs(options);
  }

  ofPeer(): PeerMessages {
    return new PeerMessages(this, this.#options);
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  /** Remembers a message of `peer`; `free`: an entry that is linked nowhere and may be used for it. */
  add(peer: PeerMessages, messageId: number, confirmable: boolean, free: ReceivedMessage | undefined): ReceivedMessage {
    const nowMs = this.#clock.monotonicMs();
    const untilMs = nowMs + (confirmable ? this.#confirmableMs : this.#nonConfirmableMs);
    this.#forgetOld(nowMs);
    let entry = free;
    if (entry === undefined) entry = new ReceivedMessage(peer, messageId, untilMs);
    else entry.reuse(peer, messageId, untilMs);
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    this.#account(entry, 1);
    return entry;
  }

  store(entry: ReceivedMessage, answer: Uint8Array): void {
    const before = entry.bytes;
    entry.store(answer);
    this.#counters.rememberedBytes += entry.bytes - before;
    entry.peer.bytes += entry.bytes - before;
    const { maxRememberedBytes } = this.#options;
    while (this.#counters.rememberedBytes > maxRememberedBytes && this.#oldest !== undefined && this.#oldest !== entry) {
      this.#forgetOldest();
    }
  }

  unlink(entry: ReceivedMessage): void {
    const { older, newer } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
    this.#account(entry, -1);
  }

  countForgottenEarly(): void {
    this.#counters.forgottenEarly++;
  }

  /** A few at a time: they come one by one, too. */
  #forgetOld(nowMs: number): void {
    for (let i = 0; i < 2 && this.#oldest !== undefined && this.#oldest.untilMs <= nowMs; i++) this.#oldest.peer.forget(this.#oldest);
    if (this.#counters.remembered >= this.#options.maxRemembered) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#oldest!;
    this.#counters.forgottenEarly++;
    oldest.peer.forget(oldest);
  }

  #account(entry: ReceivedMessage, sign: 1 | -1): void {
    this.#counters.remembered += sign;
    this.#counters.rememberedBytes += sign * entry.bytes;
    entry.peer.bytes += sign * entry.bytes;
  }
}

/** Those of one peer, by message id. */
export class PeerMessages {
  readonly #all: ReceivedMessages;
  readonly #options: TransportOptions;
  /** Absent while there is none: most peers say something once in a while. */
  #byId: Map<number, ReceivedMessage> | undefined = undefined;
  #oldest: ReceivedMessage | undefined = undefined;
  #newest: ReceivedMessage | undefined = undefined;
  bytes = 0;

  constructor(all: ReceivedMessages, options: TransportOptions) {
    this.#all = all;
    this.#options = options;
  }

  get size(): number {
    return this.#byId?.size ?? 0;
  }

  /** The message with that id, if it was received and its time is not over. */
  find(messageId: number): ReceivedMessage | undefined {
    const entry = this.#byId?.get(messageId);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.#all.nowMs()) return entry;
    this.forget(entry);
    return undefined;
  }

  /** `messageId` is not known. */
  remember(messageId: number, confirmable: boolean): ReceivedMessage {
    const free = this.size >= this.#options.maxRememberedPerPeer ? this.#forgetOldest() : undefined;
    const entry = this.#all.add(this, messageId, confirmable, free);
    this.#byId ??= new Map();
    this.#byId.set(messageId, entry);
    entry.olderOfPeer = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newerOfPeer = entry;
    this.#newest = entry;
    return entry;
  }

  store(entry: ReceivedMessage, answer: Uint8Array): void {
    this.#all.store(entry, answer);
    while (this.bytes > this.#options.maxRememberedPeerBytes && this.#oldest !== undefined && this.#oldest !== entry) {
      this.#forgetOldest();
    }
  }

  forget(entry: ReceivedMessage): void {
    this.#byId?.delete(entry.messageId);
    if (this.size === 0) this.#byId = undefined;
    const { olderOfPeer, newerOfPeer } = entry;
    if (olderOfPeer === undefined) this.#oldest = newerOfPeer;
    else olderOfPeer.newerOfPeer = newerOfPeer;
    if (newerOfPeer === undefined) this.#newest = olderOfPeer;
    else newerOfPeer.olderOfPeer = olderOfPeer;
    entry.olderOfPeer = undefined;
    entry.newerOfPeer = undefined;
    entry.serial++;
    this.#all.unlink(entry);
  }

  forgetAll(): void {
    while (this.#oldest !== undefined) this.forget(this.#oldest);
  }

  #forgetOldest(): ReceivedMessage {
    const oldest = this.#oldest!;
    if (oldest.untilMs > this.#all.nowMs()) this.#all.countForgottenEarly();
    this.forget(oldest);
    return oldest;
  }
}
