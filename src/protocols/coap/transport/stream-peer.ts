// One connection of CoAP over TCP, TLS or WebSocket (RFC 8323): capabilities first, then requests, responses and signals.
//
//   greeting ──the peer's CSM──► open ──Release, either way──► releasing ──nothing waits for an answer──► closed
//   greeting, open, releasing ──Abort, a fault, silence, the wire is gone──► closed

import { Brake, ReadingBrake } from '../../reading-brake.ts';
import type { Connection, Wire, WireFacts } from '../../protocol.ts';
import {
  AbortOption,
  badCriticalOption,
  type CoapMessage,
  type CoapOption,
  Code,
  decodeWebSocketMessage,
  encodeWebSocketMessage,
  hasOption,
  isIgnored,
  isRequest,
  isResponse,
  isSignal,
  noBytes,
  optionName,
  OptionNumber,
  ownBytes,
  PingOption,
  streamLength,
  StreamReader,
  type StreamSink,
  textBytes,
  uintOption,
  withOption,
  withoutOption,
  writeStream,
} from '../codec/index.ts';
import type { CoapPeer, CoapResponse, NotificationResult, OutgoingRequest, RequestFailure } from '../exchange.ts';
import { Capabilities, ownCapabilities } from './capabilities.ts';
import { messageInWords } from './datagram-words.ts';
import { isUnwanted, unwantedClasses } from './no-response.ts';
import { OutgoingRequests } from './outgoing-requests.ts';
import { StreamReply, type StreamReplyHome } from './stream-reply.ts';
import { type TokenKey, tokenKey } from './token-key.ts';
import { isUnderstood, type Transport } from './transport.ts';

type State = 'greeting' | 'open' | 'releasing' | 'closed';
type Done = (result: NotificationResult) => void;

const nothingToCancel = (): void => {};
/** Pings that ask for custody wait for requests before them; more than so many are answered without it. */
const maxWaitingPings = 4;

export class StreamPeer implements Connection, CoapPeer, StreamReplyHome, StreamSink {
  readonly isReliable = true;
  readonly isProven = true;
  readonly #transport: Transport;
  readonly #wire: Wire;
  readonly #reader: StreamReader;
  readonly #brake: ReadingBrake;
  readonly #capabilities = new Capabilities();
  readonly #outgoing: OutgoingRequests;
  readonly #replies = new Map<TokenKey, StreamReply>();
  /** Of these: that have had no answer, the longest first. */
  readonly #unanswered = new Set<StreamReply>();
  /** Pings with custody, and the last request before them. */
  #pings: { readonly token: Uint8Array; readonly after: StreamReply }[] = [];
  /** Who has notified while the peer did not read. */
  #waiting: Done[] = [];
  #state: State = 'greeting';
  #heardMs: number;
  #pingSentMs: number | undefined = undefined;
  #whenGone: (() => void)[] = [];
  #tracedVersion = -1;
  #isTraced = false;

  constructor(transport: Transport, wire: Wire) {
    this.#transport = transport;
    this.#wire = wire;
    const { clock, random, counters, options } = transport;
    this.#reader = new StreamReader(options.maxStreamMessageBytes);
    this.#brake = new ReadingBrake(wire, counters);
    this.#outgoing = new OutgoingRequests(clock, random, counters, options);
    this.#heardMs = clock.monotonicMs();
    counters.connections++;
    wire.setDeadline(this.#heardMs + options.csmTimeoutMs);
    // RFC 8323 §5.3: the first message of either side.
    this.#write(Code.csm, noBytes, ownCapabilities(options), noBytes);
  }

  // --- CoapPeer: what the layers above see ---

  get facts(): WireFacts {
    return this.#wire.facts;
  }

  get maxMessageBytes(): number {
    return this.#capabilities.maxMessageBytes;
  }

  request(request: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void): () => void {
    if (this.#state === 'closed') {
      answer({ failure: 'gone' });
      return nothingToCancel;
    }
    const state = this.#outgoing.add(request, answer);
    if (state === undefined) {
      answer({ failure: 'full' });
      return nothingToCancel;
    }
    this.#write(request.code, state.token, request.options, request.payload);
    this.#outgoing.await(state);
    this.#setDeadline();
    return () => {
      // RFC 8323 §7.4: nothing rejects a notification here, so the peer is told. What is sealed cannot be said twice.
      if (!this.#outgoing.forget(state) || hasOption(request.options, OptionNumber.oscore)) return;
      const options = withOption(withoutOption(request.options, OptionNumber.observe), uintOption(OptionNumber.observe, 1));
      this.#write(request.code, state.token, options, request.payload);
    };
  }

  whenGone(task: () => void): void {
    if (this.#state === 'closed') task();
    else this.#whenGone.push(task);
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#write(Code.release, noBytes, [], noBytes);
    this.#leave();
  }

  // --- Connection: what comes from the wire ---

  receive(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    const { counters } = this.#transport;
    counters.receivedBytes += bytes.length;
    this.#heardMs = this.#transport.clock.monotonicMs();
    if (this.#wire.endMessage === undefined) {
      const fault = this.#reader.push(bytes, this);
      if (fault !== undefined) this.#abort(fault);
    } else if (bytes.length > this.#reader.maxMessageBytes) {
      this.#abort('message too large');
    } else {
      const message = decodeWebSocketMessage(ownBytes(bytes, 0, bytes.length));
      if (message === undefined) this.#abort('malformed message');
      else this.message(message);
    }
    this.#brakeByOutput();
  }

  message(message: CoapMessage): boolean {
    const { code } = message;
    this.#transport.counters.received[code]!++;
    if (this.#transport.trace.version > 0) this.#trace('in', message);
    if (this.#state === 'greeting' && !this.#transport.options.requireCsm && !isSignal(code)) this.#state = 'open';
    if (isSignal(code)) this.#signal(message);
    // RFC 8323 §5.3: nothing comes before the capabilities.
    else if (this.#state === 'greeting') this.#abort('CSM expected');
    else if (isRequest(code)) this.#request(message);
    else if (isResponse(code)) this.#response(message);
    // RFC 8323 §3.4: empty messages say nothing, as do codes that are reserved.
    return (this.#state as State) !== 'closed';
  }

  onDrained(): void {
    this.#brake.release(Brake.output);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done('sent');
  }

  onDeadline(): void {
    const nowMs = this.#transport.clock.monotonicMs();
    const { keepAliveMs, pongTimeoutMs } = this.#transport.options;
    if (this.#state === 'greeting') {
      this.#abort('no CSM in time');
      return;
    }
    this.#outgoing.advance(nowMs);
    if (this.#pingSentMs !== undefined && this.#heardMs >= this.#pingSentMs) this.#pingSentMs = undefined;
    if (this.#pingSentMs !== undefined && nowMs >= this.#pingSentMs + pongTimeoutMs && !this.#brake.excusesSilence) {
      this.#abort('no pong in time');
      return;
    }
    if (this.#pingSentMs === undefined && keepAliveMs > 0 && nowMs >= this.#heardMs + keepAliveMs && this.#state !== 'closed') {
      this.#pingSentMs = nowMs;
      this.#write(Code.ping, noBytes, [], noBytes);
    }
    this.#setDeadline();
  }

  onClosed(): void {
    this.#gone();
  }

  /** RFC 8323 §5.5. Requests that wait get no answer: the peer asks another node. */
  shutDown(): void {
    this.#transport.tellGoingDown();
    this.close();
  }

  // --- StreamReplyHome ---

  answer(reply: StreamReply, response: CoapResponse): void {
    this.#finish(reply);
    if (!isUnwanted(reply.unwanted, response.code)) this.#respond(reply, response);
    this.#afterAnswer();
  }

  notification(reply: StreamReply, response: CoapResponse, done: Done): void {
    reply.state = 'observing';
    if (this.#unanswered.delete(reply)) this.#transport.counters.pendingRequests--;
    this.#respond(reply, response);
    this.#afterAnswer();
    if (this.#wire.output.pendingBytes > this.#transport.options.outputHighWaterBytes) this.#waiting.push(done);
    else done('sent');
  }

  // --- within ---

  #signal(message: CoapMessage): void {
    const { code, options } = message;
    if (code === Code.csm) {
      const bad = this.#capabilities.take(options);
      if (bad !== 0) this.#abort('bad CSM option', [uintOption(AbortOption.badCsmOption, bad)]);
      else if (this.#state === 'greeting') this.#state = 'open';
      this.#setDeadline();
      return;
    }
    if (this.#state === 'greeting' && code !== Code.abort) {
      this.#abort('CSM expected');
      return;
    }
    if (code === Code.ping) this.#ping(message);
    else if (code === Code.release) this.#released();
    else if (code === Code.abort) {
      this.#transport.counters.countAbort('by the peer');
      this.#leave();
    }
    // A Pong is heard, like all else; signals that are not known are ignored.
  }

  /** RFC 8323 §5.4: with custody asked for, the Pong waits until all requests before it are answered. */
  #ping({ token, options }: CoapMessage): void {
    const wantsCustody = hasOption(options, PingOption.custody);
    const last = wantsCustody ? [...this.#unanswered].at(-1) : undefined;
    if (last !== undefined && this.#pings.length < maxWaitingPings) this.#pings.push({ token, after: last });
    else this.#pong(token, wantsCustody && last === undefined);
  }

  #pong(token: Uint8Array, custody: boolean): void {
    this.#write(Code.pong, token, custody ? [{ number: PingOption.custody, value: noBytes }] : [], noBytes);
  }

  /** RFC 8323 §5.5: the peer will close; what it has asked is answered before. */
  #released(): void {
    this.#state = 'releasing';
    this.#afterAnswer();
  }

  #request(message: CoapMessage): void {
    const { token, options } = message;
    const key = tokenKey(token);
    const superseded = this.#replies.get(key);
    if (superseded !== undefined) this.#replyGone(superseded);
    const reply = new StreamReply(this, token, key, unwantedClasses(options));
    const { options: limits, counters } = this.#transport;
    const bad = badCriticalOption(options, isUnderstood);
    if (token.length > limits.maxTokenBytes) reply.send(refusal(Code.badRequest, 'token too long'));
    else if (bad !== 0) reply.send(refusal(Code.badOption, optionName(bad)));
    else if (this.#state === 'releasing') reply.send(refusal(Code.serviceUnavailable, 'released'));
    else {
      this.#replies.set(key, reply);
      this.#unanswered.add(reply);
      counters.pendingRequests++;
      this.#transport.handler.handle({ message: withoutIgnored(message), peer: this, confirmable: true, isMulticast: false }, reply);
      if (this.#unanswered.size >= limits.maxRequestsPerPeer) this.#brake.pull(Brake.answers);
    }
  }

  #response(message: CoapMessage): void {
    const state = this.#outgoing.find(message.token);
    if (state === undefined || badCriticalOption(message.options, isUnderstood) !== 0) {
      this.#transport.counters.dropped['stray response']++;
      return;
    }
    this.#outgoing.answered(state, withoutIgnored(message), true);
  }

  #respond(reply: StreamReply, { code, options, payload }: CoapResponse): void {
    const { maxMessageBytes } = this.#capabilities;
    // RFC 8323 §5.3.1: larger ones are not sent. The layer of blocks has seen to it, where the peer takes blocks.
    if (streamLength(reply.token.length, options, payload) <= maxMessageBytes) this.#write(code, reply.token, options, payload);
    else this.#write(Code.internalServerError, reply.token, [], textBytes('too large for you'));
  }

  #afterAnswer(): void {
    if (this.#unanswered.size < this.#transport.options.maxRequestsPerPeer) this.#brake.release(Brake.answers);
    while (this.#pings.length > 0 && !this.#unanswered.has(this.#pings[0]!.after)) this.#pong(this.#pings.shift()!.token, true);
    if (this.#state === 'releasing' && this.#unanswered.size === 0) this.#leave();
  }

  #finish(reply: StreamReply): void {
    reply.state = 'finished';
    if (this.#unanswered.delete(reply)) this.#transport.counters.pendingRequests--;
    if (this.#replies.get(reply.key) === reply) this.#replies.delete(reply.key);
  }

  #replyGone(reply: StreamReply): void {
    this.#finish(reply);
    const { onGone } = reply;
    reply.onGone = undefined;
    onGone?.();
  }

  /** RFC 8323 §5.6. */
  #abort(why: string, options: readonly CoapOption[] = []): void {
    if (this.#state === 'closed') return;
    this.#transport.counters.countAbort(why);
    this.#write(Code.abort, noBytes, options, textBytes(why));
    this.#leave();
  }

  #leave(): void {
    this.#gone();
    this.#wire.close();
  }

  #gone(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#transport.counters.connections--;
    this.#outgoing.clear();
    for (const reply of [...this.#replies.values()]) this.#replyGone(reply);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done('lost');
    const tasks = this.#whenGone;
    this.#whenGone = [];
    for (const task of tasks) task();
  }

  #write(code: number, token: Uint8Array, options: readonly CoapOption[], payload: Uint8Array): void {
    if (this.#state === 'closed') return;
    const { counters, trace } = this.#transport;
    const { output } = this.#wire;
    const start = output.pendingBytes;
    if (this.#wire.endMessage === undefined) {
      output.reserve(streamLength(token.length, options, payload));
      output.position = writeStream(output.buffer, output.position, code, token, options, payload);
    } else {
      const bytes = encodeWebSocketMessage(code, token, options, payload);
      output.write(bytes, 0, bytes.length);
      this.#wire.endMessage();
    }
    counters.sent[code]!++;
    counters.sentBytes += output.pendingBytes - start;
    if (trace.version > 0) this.#trace('out', { code, token, options, payload });
  }

  #brakeByOutput(): void {
    if (this.#wire.output.pendingBytes > this.#transport.options.maxOutputBytes) this.#brake.pull(Brake.output);
  }

  #setDeadline(): void {
    if (this.#state === 'greeting' || this.#state === 'closed') return;
    const { keepAliveMs, pongTimeoutMs } = this.#transport.options;
    const alive =
      this.#pingSentMs !== undefined ? this.#pingSentMs + pongTimeoutMs : keepAliveMs > 0 ? this.#heardMs + keepAliveMs : Infinity;
    this.#wire.setDeadline(Math.min(alive, this.#outgoing.nextDueMs()));
  }

  #trace(direction: 'in' | 'out', message: CoapMessage): void {
    const { trace } = this.#transport;
    const { remoteAddress, remotePort } = this.#wire.facts;
    const name = `$coap/${remoteAddress}:${remotePort}`;
    if (this.#tracedVersion !== trace.version) {
      this.#tracedVersion = trace.version;
      this.#isTraced = trace.wants(name);
    }
    if (this.#isTraced) trace.packet(name, direction, messageInWords(message));
  }
}

function refusal(code: number, diagnostic: string): CoapResponse {
  return { code, options: [], payload: textBytes(diagnostic) };
}

/** Without elective options that are not as they should be (RFC 7252 §5.4.3). */
function withoutIgnored(message: CoapMessage): CoapMessage {
  const { options } = message;
  if (!options.some((_, index) => isIgnored(options, index))) return message;
  return { ...message, options: options.filter((_, index) => !isIgnored(options, index)) };
}
