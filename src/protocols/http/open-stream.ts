// What streams of events have in common: the bytes that are not taken yet, heartbeats, and their end: by the peer, by the broker, when
// what was proved is over, and when the peer does not read.

import type { Timer } from '../../base/timers.ts';
import type { AnswerStream } from '../http-exchange.ts';
import type { EventFormat } from './event-encoder.ts';
import { badRequest, type Problem } from './problem.ts';
import type { Request } from './request.ts';

export type StreamHooks = {
  /** The peer takes more. */
  drained(): void;
  /** It is over; called once, not from within a call of the broker. */
  ended(): void;
};

const longestLookMs = 3_600_000;

export class OpenStream {
  readonly format: EventFormat;
  readonly #request: Request;
  readonly #hooks: StreamHooks;
  readonly #stream: AnswerStream;
  readonly #leaves: () => void;
  #timer: Timer | undefined;
  #isOver = false;
  /** Monotonic: when something was written last, and since when the peer has taken nothing. */
  #wroteMs: number;
  #stuckMs = Infinity;

  /** Answers the request: with 200, and what tells a browser when to come back. */
  constructor(request: Request, format: EventFormat, hooks: StreamHooks) {
    const { server, visit } = request;
    this.format = format;
    this.#request = request;
    this.#hooks = hooks;
    this.#wroteMs = server.clock.monotonicMs();
    const type = format === 'lines' ? 'application/x-ndjson' : 'text/event-stream';
    // Proxies that gather what they pass on are asked not to.
    this.#stream = request.stream(200, { 'Content-Type': type, 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
    this.#stream.onDrained = () => {
      this.#stuckMs = Infinity;
      if (!this.#isOver) hooks.drained();
    };
    request.onGone = () => this.#over();
    this.#leaves = visit.lasts({ shutDown: () => this.end() });
    server.counters.streams++;
    if (format === 'lines') this.#stream.write('\n');
    else this.#stream.write(`retry: ${server.options.retryMs}\n\n`);
    this.#arm();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isCongested(): boolean {
    return this.#isOver || this.#stream.pendingBytes > this.#request.server.options.highWaterBytes;
  }

  write(part: Uint8Array | string): void {
    if (this.#isOver) return;
    const { server } = this.#request;
    this.#stream.write(part);
    this.#wroteMs = server.clock.monotonicMs();
    server.counters.events++;
    if (this.#stuckMs === Infinity && this.isCongested) this.#stuckMs = this.#wroteMs;
  }

  /** After what was written. */
  end(): void {
    if (this.#isOver) return;
    this.#stream.end();
    this.#over();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { server } = this.#request;
    server.timers.cancel(this.#timer);
    server.counters.streams--;
    this.#leaves();
    this.#request.ended();
    this.#hooks.ended();
  }

  /** Looked at once in a while: nothing is armed for each event. */
  #arm(): void {
    const { clock, options, timers } = this.#request.server;
    const nowMs = clock.monotonicMs();
    const { expiresAtMs } = this.#request.member;
    const expiryMs = expiresAtMs === Infinity ? Infinity : nowMs + Math.min(expiresAtMs - clock.wallMs(), longestLookMs);
    const heartbeatMs = options.heartbeatMs === 0 ? longestLookMs : options.heartbeatMs;
    this.#timer = timers.at(Math.min(nowMs + Math.min(heartbeatMs, options.stallMs), Math.max(nowMs + 1, expiryMs)), (atMs) =>
      this.#look(atMs),
    );
  }

  #look(nowMs: number): void {
    if (this.#isOver) return;
    const { clock, options, counters } = this.#request.server;
    if (this.#request.member.expiresAtMs <= clock.wallMs()) {
      counters.cut.expired++;
      return this.end();
    }
    if (!this.isCongested) this.#stuckMs = Infinity;
    else if (this.#stuckMs === Infinity) this.#stuckMs = nowMs;
    else if (nowMs - this.#stuckMs >= options.stallMs) {
      counters.cut.stalled++;
      this.#stream.abort();
      return this.#over();
    }
    const { heartbeatMs } = options;
    if (heartbeatMs > 0 && nowMs - this.#wroteMs >= heartbeatMs && !this.isCongested) {
      // A comment (HTML §9.2.5); an empty line of JSON lines.
      this.#stream.write(this.format === 'lines' ? '\n' : ':\n\n');
      this.#wroteMs = nowMs;
    }
    this.#arm();
  }
}

/** What a request asks for; a Problem: it cannot be had. */
export function formatOf(request: Request): EventFormat | Problem {
  if (request.streamType() === 'application/x-ndjson') return 'lines';
  const format = request.query.get('format') ?? 'json';
  return format === 'json' || format === 'payload' ? format : badRequest('format is json or payload');
}

/** The highest guarantee that a stream asks for: 1, unless the peer wants no more than 0. */
export function streamGuarantee(request: Request): 0 | 1 | Problem {
  const qos = request.query.get('qos') ?? '1';
  if (qos === '0' || qos === '1') return qos === '0' ? 0 : 1;
  return badRequest('a stream delivers with qos 0 or 1', 'qos-not-supported');
}

export const tooManyStreams: Problem = {
  status: 503,
  code: 'too-many-streams',
  title: 'Too many streams are open',
  headers: { 'Retry-After': '10' },
};
