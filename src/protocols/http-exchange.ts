// The contract between an HTTP server and what answers requests: what protocol.ts is for streams of bytes. The server parses, frames
// and sends, and bounds what it holds of a peer; the handler is a pure machine without socket, timer or clock of its own. `net` drives
// it in production over HTTP/1.1 and HTTP/2, tests and `sim` without a socket.

import type { WireFacts } from './protocol.ts';

/** Names as they are sent, each with its value. A header that is there several times has several values. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/** One request and the way back for its answer. No method throws because of what a peer sent. */
export interface HttpExchange {
  /** As it came: `GET`. */
  readonly method: string;
  /** Of the target as it came, percent-encoded, without the query: `/v1/topics/a%2Fb`. */
  readonly path: string;
  /** What follows the first `?`, as it came; empty when there is none. */
  readonly query: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** By lower-case name. Several of one name are joined by `, ` where their grammar allows it, else the first counts. */
  header(name: string): string | undefined;

  /**
   * Reads the body whole; to be called once, now or later: until then the peer is held back. `large`: it is longer than `maxBytes`, the
   * rest of it is not read, and the connection ends after the answer. Gone peers are told by `onClosed` alone.
   */
  readWhole(maxBytes: number, done: (body: Uint8Array | 'large') => void): void;

  /** The one answer; its length is declared by the server. An answer before the body was read ends the connection after it (HTTP/1.1). */
  answer(status: number, headers: AnswerHeaders, body?: Uint8Array | string): void;
  /** An answer whose end is not known yet. */
  stream(status: number, headers: AnswerHeaders): AnswerStream;

  /** Set by the handler: the peer went away before its answer was sent whole. Called once at most, never from within a call of the handler. */
  onClosed: (() => void) | undefined;
}

export interface AnswerStream {
  write(part: Uint8Array | string): void;
  /** Written and not taken by the peer yet, as far as is known. */
  readonly pendingBytes: number;
  /** Set by the handler: `pendingBytes` went over the high-water mark and is below the low one again. */
  onDrained: (() => void) | undefined;
  end(): void;
  /** Cuts it: the peer sees that it is not whole. */
  abort(): void;
}

/** One connection of a peer, on which requests follow each other or run side by side (HTTP/2). */
export interface HttpPeer {
  readonly facts: WireFacts;
  /** What was proved may not hold any more, or the node wants it gone: nothing more is taken on it; answers under way are cut. */
  abort(): void;
}

/** What a handler keeps for one connection. */
export interface HttpVisit {
  request(exchange: HttpExchange): void;
  /** The connection is gone; called exactly once. `onClosed` of its exchanges has been called before. */
  onClosed(): void;
  /** The node is going down: end what would go on for ever. Requests that can be answered soon still are. */
  shutDown(): void;
}

/** What the server holds connections to, before a handler sees anything of them. */
export type HttpWireLimits = {
  readonly maxRequestsPerConnection: number;
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** For taking an answer, besides a second for each 16 KiB of it. */
  readonly answerTimeoutMs: number;
  /** Bodies of which not all has come, on one connection together. */
  readonly maxUnfinishedBytes: number;
  /** HTTP/2: at a time. */
  readonly maxStreamsPerConnection: number;
};

export const defaultHttpWireLimits: HttpWireLimits = {
  maxRequestsPerConnection: 100_000,
  maxHeaderBytes: 16 * 1024,
  headersTimeoutMs: 20_000,
  requestTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  answerTimeoutMs: 60_000,
  maxUnfinishedBytes: 32 * 1024 * 1024,
  maxStreamsPerConnection: 128,
};

export interface HttpHandler {
  readonly name: string;
  readonly limits: HttpWireLimits;
  visit(peer: HttpPeer): HttpVisit;
}
