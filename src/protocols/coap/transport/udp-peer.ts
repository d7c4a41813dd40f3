// One peer over UDP or DTLS: the message layer of RFC 7252 §4 and the matching of requests and responses of §5.

import type { DatagramPath, DatagramPeer } from '../../datagram.ts';
import type { WireFacts } from '../../protocol.ts';
import {
  badCriticalOption,
  Code,
  type CoapOption,
  decodeUdp,
  emptyMessage,
  encodeUdp,
  headerBytes,
  isCoap,
  isIgnored,
  isRequest,
  isResponse,
  codeOf,
  messageIdOf,
  MessageType,
  noBytes,
  OptionNumber,
  optionName,
  optionValue,
  ownBytes,
  textBytes,
  typeOf,
  uintOption,
  type UdpMessage,
} from '../codec/index.ts';
import type { DropCause } from '../counters.ts';
import type { CoapPeer, CoapResponse, OutgoingRequest, RequestFailure } from '../exchange.ts';
import { AddressProof } from './address-proof.ts';
import { datagramInWords } from './datagram-words.ts';
import { unwantedClasses } from './no-response.ts';
import { Outbox } from './outbox.ts';
import { OutgoingRequests, type OutgoingRequestState } from './outgoing-requests.ts';
import { type PeerMessages, Remembered, type ReceivedMessage } from './received-messages.ts';
import { isUnderstood, isUnderstoodInDatagrams, type Transport } from './transport.ts';
import { UdpAnswers } from './udp-answers.ts';
import { UdpReply } from './udp-reply.ts';

/** Told with 5.03 when a peer has as many requests waiting as it may. */
const busyMaxAgeSec = 2;
const nothingToCancel = (): void => {};

export class UdpPeer implements DatagramPeer, CoapPeer {
  readonly isReliable = false;
  readonly #transport: Transport;
  readonly #path: DatagramPath;
  readonly #proof: AddressProof;
  readonly #received: PeerMessages;
  readonly #answers: UdpAnswers;
  #outbox: Outbox | undefined = undefined;
  #outgoing: OutgoingRequests | undefined = undefined;
  #nextMessageId: number;
  #armedMs = Infinity;
  #whenGone: (() => void)[] | undefined = undefined;
  #isGone = false;
  #tracedVersion = -1;
  #isTraced = false;

  constructor(transport: Transport, path: DatagramPath) {
    this.#transport = transport;
    this.#path = path;
    const { clock, random, options } = transport;
    this.#proof = new AddressProof(clock, random, options, path);
    this.#received = transport.received.ofPeer();
    this.#nextMessageId = random.below(0x1_0000);
    this.#answers = new UdpAnswers(transport, this, this.#received, this.#proof);
    transport.counters.datagramPeers++;
  }

  // --- CoapPeer: what the layers above see ---

  get facts(): WireFacts {
    return this.#path.facts;
  }

  get isProven(): boolean {
    return this.#proof.isProven;
  }

  get maxMessageBytes(): number {
    return this.#path.maxBytes;
  }

  request(request: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void): () => void {
    if (this.#isGone) {
      answer({ failure: 'gone' });
      return nothingToCancel;
    }
    const { clock, random, counters, options } = this.#transport;
    const outgoing = (this.#outgoing ??= new OutgoingRequests(clock, random, counters, options));
    const state = outgoing.add(request, answer);
    if (state === undefined) {
      answer({ failure: 'full' });
      return nothingToCancel;
    }
    this.#sendRequest(outgoing, state, request);
    return () => {
      outgoing.forget(state);
      this.#outbox?.withdraw(state, clock.monotonicMs());
    };
  }

  whenGone(task: () => void): void {
    if (this.#isGone) task();
    else (this.#whenGone ??= []).push(task);
  }

  close(): void {
    if (!this.#isGone) this.#path.close();
  }

  // --- DatagramPeer: what comes from the path ---

  get isIdle(): boolean {
    return this.#answers.size === 0 && (this.#outbox?.size ?? 0) === 0 && (this.#outgoing?.size ?? 0) === 0;
  }

  receive(bytes: Uint8Array, isMulticast: boolean): void {
    const { counters } = this.#transport;
    counters.receivedBytes += bytes.length;
    if (!isCoap(bytes)) {
      // RFC 7252 §3: another version is ignored in silence.
      this.#drop('not coap');
      return;
    }
    this.#proof.received(bytes.length);
    const type = typeOf(bytes);
    const code = codeOf(bytes);
    counters.received[code]!++;
    if (this.#transport.trace.version > 0) this.#trace('in', bytes);
    // Before anything else may use up what can be sent there.
    if (type !== MessageType.reset && !this.#proof.isProven) this.#ping();
    if (type === MessageType.acknowledgement) this.#acknowledged(bytes, code);
    else if (type === MessageType.reset) this.#wasReset(bytes, code);
    else if (code === Code.empty) this.#emptyMessage(bytes, type, isMulticast);
    else this.#message(bytes, type, isMulticast);
  }

  onDeadline(): void {
    this.#armedMs = Infinity;
    const nowMs = this.#transport.clock.monotonicMs();
    this.#answers.advance(nowMs);
    this.#outbox?.advance(nowMs);
    this.#outgoing?.advance(nowMs);
    if (!this.#isGone) this.#arm();
  }

  onClosed(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#transport.counters.datagramPeers--;
    this.#outbox?.clear();
    this.#outgoing?.clear();
    this.#answers.clear();
    this.#received.forgetAll();
    for (const task of this.#whenGone ?? []) task();
    this.#whenGone = undefined;
  }

  shutDown(): void {
    this.#transport.tellGoingDown();
    this.close();
  }

  // --- for its answers ---

  nextMessageId(): number {
    // To an address that is not proven: none that could be guessed from those before, for acknowledgements prove it.
    if (!this.#proof.isProven) this.#nextMessageId = this.#transport.random.below(0x1_0000);
    const id = this.#nextMessageId;
    this.#nextMessageId = (id + 1) & 0xffff;
    return id;
  }

  /** False: it was dropped, because the address is not proven and has been sent too much already. */
  transmit(bytes: Uint8Array): boolean {
    if (this.#isGone) return false;
    if (!this.#proof.allows(bytes.length)) {
      this.#drop('amplification');
      return false;
    }
    const { counters, trace } = this.#transport;
    this.#proof.sent(bytes.length);
    counters.sent[bytes[1]!]!++;
    counters.sentBytes += bytes.length;
    if (trace.version > 0) this.#trace('out', bytes);
    this.#path.send(bytes);
    return true;
  }

  outbox(): Outbox {
    const { options, random, counters } = this.#transport;
    return (this.#outbox ??= new Outbox({ options, random, counters, transmit: (bytes) => this.transmit(bytes) }));
  }

  /** Makes sure to be called at `dueMs` or before. A later deadline waits until the armed one comes up. */
  wakeAt(dueMs: number): void {
    if (dueMs >= this.#armedMs || this.#isGone) return;
    this.#armedMs = dueMs;
    this.#path.setDeadline(dueMs);
  }

  arm(): void {
    this.#arm();
  }

  // --- within ---

  /** RFC 7252 §4.1: an empty message has four bytes. Confirmable, it is a ping, and answered by a Reset (§4.3); else it says nothing. */
  #emptyMessage(bytes: Uint8Array, type: MessageType, isMulticast: boolean): void {
    this.#drop(bytes.length === headerBytes ? 'ping' : 'malformed');
    if (type === MessageType.confirmable && !isMulticast) this.transmit(emptyMessage(MessageType.reset, messageIdOf(bytes)));
  }

  #message(bytes: Uint8Array, type: MessageType, isMulticast: boolean): void {
    const confirmable = type === MessageType.confirmable;
    // RFC 7252 §8.1: what goes to a group is not confirmable.
    if (isMulticast && (confirmable || !this.#transport.options.answerMulticast)) {
      this.#drop('multicast');
      return;
    }
    const messageId = messageIdOf(bytes);
    const known = this.#received.find(messageId);
    if (known !== undefined) {
      this.#repeated(known);
      return;
    }
    const message = decodeUdp(whole(bytes));
    if (message === undefined || !(isRequest(message.code) || isResponse(message.code))) {
      // RFC 7252 §4.2, §4.3: confirmable, it must be rejected; else it may be, and is not.
      this.#drop('malformed');
      if (confirmable) this.transmit(emptyMessage(MessageType.reset, messageId));
      return;
    }
    const received = this.#received.remember(messageId, confirmable);
    if (isRequest(message.code)) this.#request(message, received, isMulticast);
    else if (!isMulticast) this.#response(message, received);
  }

  /** RFC 7252 §4.5: a repetition is answered like the first, and not processed. */
  #repeated(known: ReceivedMessage): void {
    this.#transport.counters.duplicates++;
    const { messageId } = known;
    if (known.state === Remembered.answered) this.transmit(known.answer);
    else if (known.state === Remembered.acknowledged) this.transmit(emptyMessage(MessageType.acknowledgement, messageId));
    else if (known.state === Remembered.reset) this.transmit(emptyMessage(MessageType.reset, messageId));
  }

  #request(message: UdpMessage, received: ReceivedMessage, isMulticast: boolean): void {
    const { options } = message;
    const echo = options.length === 0 ? undefined : optionValue(options, OptionNumber.echo);
    if (echo !== undefined && this.#proof.echoed(echo)) this.#transport.counters.addressesProven++;
    const confirmable = message.type === MessageType.confirmable;
    const unwanted = options.length === 0 ? 0 : unwantedClasses(options);
    // RFC 7641 §4.1, RFC 7252 §5.3.1: the same token again takes the place of what it stood for.
    this.#answers.supersede(message.token);
    const reply = new UdpReply(this.#answers, message, confirmable, isMulticast, unwanted, received);
    const refusal = this.#refusal(message);
    if (refusal !== undefined) {
      // RFC 7252 §5.4.1: a non-confirmable request with an unknown critical option is rejected, not answered.
      if (refusal.code === Code.badOption && !confirmable)
        this.#reject(received, message.messageId, !isMulticast, 'unknown critical option');
      else reply.send(refusal);
      return;
    }
    const own = { message: withoutIgnored(message), peer: this, confirmable, isMulticast };
    this.#transport.handler.handle(own, reply);
    this.#answers.keep(reply);
  }

  /** What a request is answered by without being processed; undefined: nothing speaks against it. */
  #refusal({ token, options }: UdpMessage): CoapResponse | undefined {
    // RFC 8974 §2.2: rejecting the message would say that no long token is understood here.
    if (token.length > this.#transport.options.maxTokenBytes) return answer(Code.badRequest, [], 'token too long');
    const bad = badCriticalOption(options, this.#transport.options.qBlock ? isUnderstoodInDatagrams : isUnderstood);
    if (bad !== 0) return answer(Code.badOption, [], optionName(bad));
    if (this.#answers.unanswered < this.#transport.options.maxRequestsPerPeer) return undefined;
    this.#drop('too many requests');
    return answer(Code.serviceUnavailable, [uintOption(OptionNumber.maxAge, busyMaxAgeSec)], '');
  }

  #reject(received: ReceivedMessage, messageId: number, mayReset: boolean, why: DropCause): void {
    this.#drop(why);
    if (!mayReset) return;
    received.state = Remembered.reset;
    this.transmit(emptyMessage(MessageType.reset, messageId));
  }

  /** A response that is a message of its own (RFC 7252 §5.2.2, §5.2.3). */
  #response(message: UdpMessage, received: ReceivedMessage): void {
    const state = this.#outgoing?.find(message.token);
    if (state === undefined || badCriticalOption(message.options, isUnderstood) !== 0) {
      // RFC 7641 §3.6: a Reset is how a notification that nobody wants is cancelled.
      this.#reject(received, message.messageId, true, 'stray response');
      return;
    }
    if (message.type === MessageType.confirmable) {
      received.state = Remembered.acknowledged;
      this.transmit(emptyMessage(MessageType.acknowledgement, message.messageId));
    }
    this.#takeResponse(state, message);
  }

  #takeResponse(state: OutgoingRequestState, message: UdpMessage): void {
    if (this.#proof.answered()) this.#transport.counters.addressesProven++;
    this.#outgoing!.answered(state, withoutIgnored(message), false);
    this.#outbox?.answered(state, this.#transport.clock.monotonicMs());
    this.#arm();
  }

  #acknowledged(bytes: Uint8Array, code: number): void {
    const messageId = messageIdOf(bytes);
    const owner = this.#outbox?.ownerOf(messageId);
    if (owner === undefined || (code === Code.empty && bytes.length !== headerBytes)) {
      this.#proof.acknowledged(false);
      this.#drop('stray acknowledgement');
      return;
    }
    const nowMs = this.#transport.clock.monotonicMs();
    if (code === Code.empty) {
      if (this.#proof.acknowledged(true)) this.#transport.counters.addressesProven++;
      this.#outbox!.acknowledged(messageId, nowMs);
      this.#arm();
      return;
    }
    const message = isResponse(code) ? decodeUdp(whole(bytes)) : undefined;
    const state = message === undefined ? undefined : this.#outgoing?.find(message.token);
    // RFC 7252 §5.3.2: a piggybacked response fits by message id and token. An acknowledgement is never rejected (§4.2).
    if (message === undefined || state !== owner || badCriticalOption(message.options, isUnderstood) !== 0) {
      this.#drop('stray acknowledgement');
      return;
    }
    this.#takeResponse(state as OutgoingRequestState, message);
  }

  #wasReset(bytes: Uint8Array, code: number): void {
    const messageId = messageIdOf(bytes);
    if (code !== Code.empty || bytes.length !== headerBytes) {
      this.#drop('malformed');
      return;
    }
    if (this.#proof.ponged(messageId)) {
      if (this.#proof.isProven) this.#transport.counters.addressesProven++;
      else this.#ping();
      return;
    }
    const nowMs = this.#transport.clock.monotonicMs();
    if (this.#outbox?.rejected(messageId, nowMs) !== undefined) {
      this.#transport.counters.resets++;
      this.#arm();
      return;
    }
    if (this.#answers.rejected(messageId)) {
      this.#transport.counters.resets++;
      return;
    }
    const state = this.#outgoing?.byMessageId(messageId);
    if (state === undefined) this.#drop('stray acknowledgement');
    else this.#outgoing!.fail(state, 'reset');
  }

  /** RFC 7252 §4.3: every endpoint answers it by a Reset, also one that knows no Echo. */
  #ping(): void {
    const messageId = this.#proof.ping();
    if (messageId !== undefined) this.transmit(emptyMessage(MessageType.confirmable, messageId));
  }

  #sendRequest(outgoing: OutgoingRequests, state: OutgoingRequestState, request: OutgoingRequest): void {
    const messageId = this.nextMessageId();
    const { code, options, payload, confirmable } = request;
    const type = confirmable ? MessageType.confirmable : MessageType.nonConfirmable;
    const bytes = encodeUdp(type, messageId, code, state.token, options, payload);
    if (!confirmable) {
      state.messageId = messageId;
      this.transmit(bytes);
      this.wakeAt(outgoing.await(state));
      return;
    }
    const taken = this.outbox().add(messageId, bytes, state, this.#transport.clock.monotonicMs(), (fate) => {
      if (fate === 'acknowledged') this.wakeAt(outgoing.await(state));
      else outgoing.fail(state, fate === 'lost' ? 'timeout' : fate === 'rejected' ? 'reset' : 'gone');
    });
    if (!taken) outgoing.refuse(state);
    this.#arm();
  }

  #arm(): void {
    const outbox = this.#outbox?.nextDueMs() ?? Infinity;
    const outgoing = this.#outgoing === undefined || this.#outgoing.size === 0 ? Infinity : this.#outgoing.nextDueMs();
    this.wakeAt(Math.min(this.#answers.nextDueMs(), outbox, outgoing));
  }

  #drop(cause: DropCause): void {
    this.#transport.counters.dropped[cause]++;
  }

  #trace(direction: 'in' | 'out', bytes: Uint8Array): void {
    const { trace } = this.#transport;
    const { remoteAddress, remotePort } = this.#path.facts;
    const name = `$coap/${remoteAddress}:${remotePort}`;
    if (this.#tracedVersion !== trace.version) {
      this.#tracedVersion = trace.version;
      this.#isTraced = trace.wants(name);
    }
    if (this.#isTraced) trace.packet(name, direction, datagramInWords(bytes));
  }
}

/** What is kept of a message holds all the memory that it is a view of: no more than the message itself. */
function whole(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : ownBytes(bytes, 0, bytes.length);
}

function answer(code: number, options: readonly CoapOption[], diagnostic: string): CoapResponse {
  return { code, options, payload: diagnostic === '' ? noBytes : textBytes(diagnostic) };
}

/** Without elective options that are not as they should be (RFC 7252 §5.4.3). */
function withoutIgnored(message: UdpMessage): UdpMessage {
  const { options } = message;
  for (let i = 0; i < options.length; i++) {
    if (isIgnored(options, i)) return { ...message, options: options.filter((_, index) => !isIgnored(options, index)) };
  }
  return message;
}
