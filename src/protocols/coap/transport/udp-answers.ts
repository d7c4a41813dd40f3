// The answers that go to one peer over UDP or DTLS: on the acknowledgement or behind it, confirmable or not, delayed when they answer a
// request to a group, and small while nobody knows whether the peer is where it says (RFC 7252 §5.2, §8.2; RFC 7641 §4; RFC 9175 §2.4).

import { Code, emptyMessage, encodeUdp, isError, MessageType, noBytes, OptionNumber, udpLength } from '../codec/index.ts';
import type { CoapResponse, NotificationResult } from '../exchange.ts';
import type { AddressProof } from './address-proof.ts';
import { isUnwanted } from './no-response.ts';
import type { Fate, Outbox } from './outbox.ts';
import { type PeerMessages, Remembered } from './received-messages.ts';
import { type TokenKey, tokenKey } from './token-key.ts';
import type { Transport } from './transport.ts';
import type { ReplyHome, UdpReply } from './udp-reply.ts';

/** What answers need of their peer. */
export interface AnswerPath {
  transmit(bytes: Uint8Array): boolean;
  nextMessageId(): number;
  outbox(): Outbox;
  wakeAt(dueMs: number): void;
  arm(): void;
}

type Done = (result: NotificationResult) => void;

export class UdpAnswers implements ReplyHome {
  readonly #transport: Transport;
  readonly #path: AnswerPath;
  readonly #received: PeerMessages;
  readonly #proof: AddressProof;
  /** Those that are not finished when their request was handed on. */
  #replies: Map<TokenKey, UdpReply> | undefined = undefined;
  /** Of these: that have had no answer at all. */
  unanswered = 0;
  /** Those whose request waits for its acknowledgement, the longest first. */
  #firstUnacknowledged: UdpReply | undefined = undefined;
  #lastUnacknowledged: UdpReply | undefined = undefined;
  /** To requests to groups. */
  #delayed: { readonly dueMs: number; readonly bytes: Uint8Array }[] | undefined = undefined;

  constructor(transport: Transport, path: AnswerPath, received: PeerMessages, proof: AddressProof) {
    this.#transport = transport;
    this.#path = path;
    this.#received = received;
    this.#proof = proof;
  }

  get size(): number {
    return (this.#replies?.size ?? 0) + (this.#delayed?.length ?? 0);
  }

  /** A request was handed on. Its reply is looked after until it is finished. */
  keep(reply: UdpReply): void {
    if (reply.state === 'finished') return;
    this.#replies ??= new Map();
    this.#replies.set(reply.key, reply);
    reply.isListed = true;
    if (reply.state === 'observing') return;
    this.unanswered++;
    this.#transport.counters.pendingRequests++;
    if (!reply.confirmable || reply.state !== 'fresh') return;
    const { piggybackMs } = this.#transport.options;
    if (piggybackMs === 0) {
      this.#acknowledge(reply);
      return;
    }
    reply.dueMs = this.#transport.clock.monotonicMs() + piggybackMs;
    this.#link(reply);
    this.#path.wakeAt(reply.dueMs);
  }

  /** Its token stands for something else now. */
  supersede(token: Uint8Array): void {
    const replies = this.#replies;
    // Most requests are answered at once: there is none, and no key is needed.
    if (replies === undefined || replies.size === 0) return;
    const reply = replies.get(tokenKey(token));
    if (reply !== undefined) this.#gone(reply);
  }

  /** A notification that was not confirmable was answered by a Reset (RFC 7641 §3.6). */
  rejected(messageId: number): boolean {
    for (const reply of this.#replies?.values() ?? []) {
      if (!reply.hasNotified(messageId)) continue;
      this.#gone(reply);
      return true;
    }
    return false;
  }

  nextDueMs(): number {
    let due = this.#firstUnacknowledged?.dueMs ?? Infinity;
    for (const { dueMs } of this.#delayed ?? []) due = Math.min(due, dueMs);
    return due;
  }

  advance(nowMs: number): void {
    while (this.#firstUnacknowledged !== undefined && this.#firstUnacknowledged.dueMs <= nowMs) {
      this.#acknowledge(this.#firstUnacknowledged);
    }
    if (this.#delayed === undefined) return;
    const due = this.#delayed.filter(({ dueMs }) => dueMs <= nowMs);
    this.#delayed = this.#delayed.filter(({ dueMs }) => dueMs > nowMs);
    for (const { bytes } of due) this.#path.transmit(bytes);
  }

  /** The peer is gone. */
  clear(): void {
    this.#delayed = undefined;
    for (const reply of [...(this.#replies?.values() ?? [])]) this.#gone(reply);
  }

  // --- ReplyHome ---

  answer(reply: UdpReply, response: CoapResponse, done: Done | undefined): void {
    const { confirmable, isMulticast } = reply;
    // RFC 7252 §8.2: errors to requests that went to a group are not sent.
    if (isUnwanted(reply.unwanted, response.code) || (isMulticast && isError(response.code))) {
      // RFC 7967 §2: the acknowledgement is sent all the same.
      if (confirmable && reply.state === 'fresh') this.#acknowledge(reply);
      this.#finish(reply);
      done?.('sent');
      return;
    }
    const allowed = this.#smallEnough(reply, response);
    const refused = allowed !== response;
    if (isMulticast) {
      this.#delay(reply, allowed);
      this.#finish(reply);
      done?.(refused ? 'rejected' : 'sent');
    } else if (!confirmable) {
      const wasSent = this.#path.transmit(this.#encode(reply, MessageType.nonConfirmable, this.#path.nextMessageId(), allowed));
      this.#finish(reply);
      done?.(refused || !wasSent ? 'rejected' : 'sent');
    } else if (reply.state === 'fresh' && (done === undefined || refused)) {
      this.#piggyback(reply, allowed);
      this.#finish(reply);
      done?.('rejected');
    } else {
      if (reply.state === 'fresh') this.#acknowledge(reply);
      this.#separate(reply, allowed, refused ? () => done?.('rejected') : done);
    }
  }

  notification(reply: UdpReply, response: CoapResponse, confirmable: boolean, done: Done): void {
    const isFirst = reply.state !== 'observing';
    if (isFirst) {
      const allowed = this.#smallEnough(reply, response);
      if (allowed !== response || reply.isMulticast) {
        this.answer(reply, allowed, undefined);
        done('rejected');
        return;
      }
      const wasFresh = reply.state === 'fresh' && reply.confirmable;
      this.#unlink(reply);
      this.#isAnswered(reply);
      reply.state = 'observing';
      if (wasFresh) {
        this.#piggyback(reply, response);
        done('sent');
        return;
      }
    }
    const messageId = this.#path.nextMessageId();
    // Acknowledgements prove an address.
    if (confirmable || !this.#proof.isProven) {
      const bytes = this.#encode(reply, MessageType.confirmable, messageId, response);
      this.#confirm(messageId, bytes, reply, (fate) => {
        done(fate === 'gone' ? 'lost' : fate);
        // RFC 7641 §4.5: who rejects a notification, or does not acknowledge it, is no observer any more.
        if (fate !== 'acknowledged') this.#gone(reply);
      });
      return;
    }
    reply.notified(messageId);
    this.#path.transmit(this.#encode(reply, MessageType.nonConfirmable, messageId, response));
    done('sent');
  }

  // --- within ---

  #encode(reply: UdpReply, type: MessageType, messageId: number, { code, options, payload }: CoapResponse): Uint8Array {
    return encodeUdp(type, messageId, code, reply.token, options, payload);
  }

  #piggyback(reply: UdpReply, response: CoapResponse): void {
    const bytes = this.#encode(reply, MessageType.acknowledgement, reply.messageId, response);
    if (reply.received.serial === reply.receivedSerial) {
      reply.received.state = Remembered.answered;
      this.#received.store(reply.received, bytes);
    }
    this.#path.transmit(bytes);
  }

  /** RFC 7252 §5.2.2: the answer will be a message of its own. */
  #acknowledge(reply: UdpReply): void {
    this.#unlink(reply);
    reply.state = 'acknowledged';
    if (reply.received.serial === reply.receivedSerial) reply.received.state = Remembered.acknowledged;
    this.#path.transmit(emptyMessage(MessageType.acknowledgement, reply.messageId));
  }

  #separate(reply: UdpReply, response: CoapResponse, done: Done | undefined): void {
    this.#transport.counters.separateResponses++;
    const messageId = this.#path.nextMessageId();
    const bytes = this.#encode(reply, MessageType.confirmable, messageId, response);
    this.#finish(reply);
    this.#confirm(messageId, bytes, reply, (fate) => done?.(fate === 'gone' ? 'lost' : fate));
  }

  #confirm(messageId: number, bytes: Uint8Array, reply: UdpReply, done: (fate: Fate) => void): void {
    if (this.#path.outbox().add(messageId, bytes, reply, this.#transport.clock.monotonicMs(), done)) this.#path.arm();
    else done('lost');
  }

  #delay(reply: UdpReply, response: CoapResponse): void {
    const { clock, random, options, counters } = this.#transport;
    this.#delayed ??= [];
    if (this.#delayed.length >= options.maxDelayedPerPeer) {
      counters.dropped.multicast++;
      return;
    }
    // RFC 7252 §8.2: at a random moment within the leisure.
    const dueMs = clock.monotonicMs() + random.float() * options.leisureMs;
    this.#delayed.push({ dueMs, bytes: this.#encode(reply, MessageType.nonConfirmable, this.#path.nextMessageId(), response) });
    this.#path.wakeAt(dueMs);
  }

  /** The response, or what takes its place because it is too large for an address that is not proven. */
  #smallEnough(reply: UdpReply, response: CoapResponse): CoapResponse {
    if (this.#proof.isProven) return response;
    const { options, payload } = response;
    if (this.#proof.allows(udpLength(reply.token.length, options, payload))) return response;
    const { counters } = this.#transport;
    if (reply.code === Code.get || reply.code === Code.fetch) {
      counters.echoChallenges++;
      return { code: Code.unauthorized, options: [{ number: OptionNumber.echo, value: this.#proof.challenge() }], payload: noBytes };
    }
    // What was asked for has been done, and must not be done twice: that it was fits into what may be said.
    counters.dropped.amplification++;
    return { code: response.code, options: [], payload: noBytes };
  }

  #gone(reply: UdpReply): void {
    if (reply.state === 'finished') return;
    this.#finish(reply);
    this.#path.outbox().withdraw(reply, this.#transport.clock.monotonicMs());
    const { onGone } = reply;
    reply.onGone = undefined;
    onGone?.();
  }

  #finish(reply: UdpReply): void {
    this.#unlink(reply);
    this.#isAnswered(reply);
    reply.state = 'finished';
    if (!reply.isListed) return;
    reply.isListed = false;
    this.#replies!.delete(reply.key);
  }

  /** It had no answer until now. */
  #isAnswered(reply: UdpReply): void {
    if (!reply.isListed || reply.state === 'observing' || reply.state === 'finished') return;
    this.unanswered--;
    this.#transport.counters.pendingRequests--;
  }

  #link(reply: UdpReply): void {
    reply.before = this.#lastUnacknowledged;
    if (this.#lastUnacknowledged === undefined) this.#firstUnacknowledged = reply;
    else this.#lastUnacknowledged.after = reply;
    this.#lastUnacknowledged = reply;
  }

  #unlink(reply: UdpReply): void {
    const { before, after } = reply;
    if (before === undefined) {
      if (this.#firstUnacknowledged !== reply) return;
      this.#firstUnacknowledged = after;
    } else before.after = after;
    if (after === undefined) this.#lastUnacknowledged = before;
    else after.before = before;
    reply.before = undefined;
    reply.after = undefined;
  }
}
