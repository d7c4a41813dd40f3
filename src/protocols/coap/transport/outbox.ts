// Confirmable messages to one peer: their turn (NSTART), their repetitions and what becomes of them (RFC 7252 §4.2, §4.7, §4.8).

import type { Random } from '../../../base/random.ts';
import type { Counters } from '../counters.ts';
import type { TransportOptions } from '../transport-options.ts';

/** 'gone': the peer is. */
export type Fate = 'acknowledged' | 'rejected' | 'lost' | 'gone';

export type Confirmable = {
  readonly messageId: number;
  readonly bytes: Uint8Array;
  /** Whose it is: found again by it. */
  readonly owner: object;
  /** Called once. */
  readonly done: (fate: Fate) => void;
  transmissions: number;
  timeoutMs: number;
  dueMs: number;
};

export type OutboxParts = {
  readonly options: TransportOptions;
  readonly random: Random;
  readonly counters: Counters;
  /** False: it may not be sent now (amplification), and counts as lost on its way. */
  readonly transmit: (bytes: Uint8Array) => boolean;
};

export class Outbox {
  readonly #parts: OutboxParts;
  /** Sent and not acknowledged: at most NSTART, which is 1 by default. */
  readonly #outstanding: Confirmable[] = [];
  readonly #waiting: Confirmable[] = [];
  #isClosed = false;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#outstanding.length + this.#waiting.length;
  }

  /** False: too many wait already; `done` is not called. */
  add(messageId: number, bytes: Uint8Array, owner: object, nowMs: number, done: (fate: Fate) => void): boolean {
    if (this.#isClosed) return false;
    if (this.#waiting.length >= this.#parts.options.maxQueuedPerPeer) {
      this.#parts.counters.dropped['outbox full']++;
      return false;
    }
    this.#waiting.push({ messageId, bytes, owner, done, transmissions: 0, timeoutMs: 0, dueMs: 0 });
    this.#sendNext(nowMs);
    return true;
  }

  /** Whose the outstanding message with that id is. */
  ownerOf(messageId: number): object | undefined {
    return this.#outstanding[this.#indexOf(messageId)]?.owner;
  }

  /** The peer has acknowledged it. Returns whose it was; undefined: no such message is outstanding. */
  acknowledged(messageId: number, nowMs: number): object | undefined {
    return this.#settle(messageId, 'acknowledged', nowMs);
  }

  rejected(messageId: number, nowMs: number): object | undefined {
    return this.#settle(messageId, 'rejected', nowMs);
  }

  /** The response came, though not the acknowledgement: that was lost, and is implied (RFC 7252 §5.2.2). */
  answered(owner: object, nowMs: number): void {
    const index = this.#outstanding.findIndex((each) => each.owner === owner);
    if (index < 0) return;
    const [message] = this.#outstanding.splice(index, 1);
    this.#sendNext(nowMs);
    message!.done('acknowledged');
  }

  /** The messages of `owner` are wanted no more. Those that wait are not sent, the others not repeated; they are done with as 'gone'. */
  withdraw(owner: object, nowMs: number): void {
    const withdrawn: Confirmable[] = [];
    for (const list of [this.#outstanding, this.#waiting]) {
      for (let i = 0; i < list.length; i++) if (list[i]!.owner === owner) withdrawn.push(...list.splice(i--, 1));
    }
    this.#sendNext(nowMs);
    for (const message of withdrawn) message.done('gone');
  }

  nextDueMs(): number {
    let due = Infinity;
    for (const { dueMs } of this.#outstanding) due = Math.min(due, dueMs);
    return due;
  }

  /** Repeats what is due, and gives up what was repeated often enough. */
  advance(nowMs: number): void {
    for (let i = 0; i < this.#outstanding.length; i++) {
      const message = this.#outstanding[i]!;
      if (message.dueMs > nowMs) continue;
      if (message.transmissions > this.#parts.options.maxRetransmit) {
        this.#outstanding.splice(i--, 1);
        this.#parts.counters.lost++;
        message.done('lost');
        continue;
      }
      this.#parts.counters.retransmissions++;
      this.#transmit(message, nowMs);
    }
    this.#sendNext(nowMs);
  }

  /** The peer is gone. */
  clear(): void {
    this.#isClosed = true;
    const all = [...this.#outstanding.splice(0), ...this.#waiting.splice(0)];
    for (const message of all) message.done('gone');
  }

  #settle(messageId: number, fate: Fate, nowMs: number): object | undefined {
    const index = this.#indexOf(messageId);
    if (index < 0) return undefined;
    const outstanding = this.#outstanding;
    const message = outstanding[index]!;
    // There is one, as a rule (NSTART): nothing is to be moved.
    if (index === outstanding.length - 1) outstanding.pop();
    else outstanding.splice(index, 1);
    message.done(fate);
    this.#sendNext(nowMs);
    return message.owner;
  }

  #indexOf(messageId: number): number {
    for (let i = 0; i < this.#outstanding.length; i++) if (this.#outstanding[i]!.messageId === messageId) return i;
    return -1;
  }

  #sendNext(nowMs: number): void {
    const { options, random } = this.#parts;
    while (this.#waiting.length > 0 && this.#outstanding.length < options.nstart) {
      const message = this.#waiting.shift()!;
      message.timeoutMs = options.ackTimeoutMs * (1 + random.float() * (options.ackRandomFactor - 1));
      this.#outstanding.push(message);
      this.#transmit(message, nowMs);
    }
  }

  #transmit(message: Confirmable, nowMs: number): void {
    message.transmissions++;
    message.dueMs = nowMs + message.timeoutMs;
    // RFC 7252 §4.2: the time-out doubles with every repetition.
    message.timeoutMs *= 2;
    this.#parts.transmit(message.bytes);
  }
}
