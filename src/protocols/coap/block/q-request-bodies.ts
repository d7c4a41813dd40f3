// Bodies of requests that come by Q-Block1 (RFC 9177 §4.3): blocks in any order, put together when all are there. What is missing is asked
// for when a later set begins, or after a silence.
//
//   not confirmable   2.31 for each whole set, 4.08 with the list of what is missing; nothing for other blocks
//   confirmable       an acknowledgement for each block; the peer sees itself what was lost

import { Code } from '../codec/message.ts';
import { noBytes, textBytes, uintOption, uintValue } from '../codec/option-values.ts';
import { hasOption, OptionNumber, optionValue } from '../codec/options.ts';
import { isUnwanted, unwantedClasses } from '../transport/no-response.ts';
import { bertSzx, blockBytes, blockOffset, blockOption } from './block-option.ts';
import { Held } from './held.ts';
import { missingBlocks, missingBlocksFormat } from './missing-blocks.ts';
import { assemblyKey } from './request-key.ts';

import type { Clock } from '../../../base/clock.ts';
import type { Timer, Timers } from '../../../base/timers.ts';
import type { CoapOption } from '../codec/message.ts';
import type { CoapPeer, CoapRequest, CoapResponse, Reply } from '../exchange.ts';
import type { Block } from './block-option.ts';
import type { BlockOptions } from './block-settings.ts';

export type QRequestCounters = {
  started: number;
  completed: number;
  /** 2.31 */
  continued: number;
  /** 4.08 */
  askedAgain: number;
  /** Blocks that were there already. */
  duplicates: number;
  /** Missing blocks were asked for in vain, or the peer wanted no more. */
  givenUp: number;
  /** 4.13 */
  tooLarge: number;
  /** 4.00 */
  malformed: number;
};

type Body = {
  readonly peer: CoapPeer;
  readonly key: string;
  readonly size: number;
  readonly szx: number;
  readonly total: number;
  readonly blocks: Map<number, Uint8Array>;
  bytes: number;
  /** The first block that is missing, and the last that is there. */
  lowest: number;
  highest: number;
  /** To the request that came last; undefined: it is answered, or nobody waits for it. */
  reply: Reply | undefined;
  unwanted: number;
  sinceMs: number;
  repeats: number;
  timer: Timer | undefined;
};

/** A body that was complete, so that blocks that come once more do not begin it anew. `response`: if it is small. */
export type Completed = { response: CoapResponse | undefined };

export const noAnswer: CoapResponse = { code: Code.empty, options: [], payload: noBytes };
/** Beside its bytes: what a block takes among others. */
const blockCost = 128;
/** Around a list of missing blocks: header, the longest token, options, and what DTLS or OSCORE add; and the most that one of them takes. */
const answerOverhead = 128;
const missingBytes = 5;
/** Reserved for the answer to a body that was complete. */
const answerBytes = 1500;

export class QRequestBodies {
  readonly counters: QRequestCounters = {
    started: 0,
    completed: 0,
    continued: 0,
    askedAgain: 0,
    duplicates: 0,
    givenUp: 0,
    tooLarge: 0,
    malformed: 0,
  };
  readonly held: Held<Body>;
  readonly completed: Held<Completed>;
  readonly #options: BlockOptions;
  readonly #clock: Clock;
  readonly #timers: Timers;

  constructor(options: BlockOptions, clock: Clock, timers: Timers) {
    this.#options = options;
    this.#clock = clock;
    this.#timers = timers;
    const limits = {
      get maxTransfersPerPeer() {
        return options.maxTransfersPerPeer;
      },
      get maxTransferPeerBytes() {
        return options.maxTransferPeerBytes;
      },
      get maxTransferBytes() {
        return options.maxTransferBytes;
      },
      get transferTimeoutMs() {
        return options.nonPartialTimeoutMs;
      },
    };
    this.held = new Held(limits, 'refuse', clock, timers, (body) => this.#ended(body));
    this.completed = new Held(limits, 'dropOldest', clock, timers);
  }

  /** The whole body with the last block that was missing; undefined: it is not whole, and `reply` is looked after here. */
  take(request: CoapRequest, block: Block, reply: Reply): { body: Uint8Array; completed: Completed } | undefined {
    const { options, payload } = request.message;
    const size = optionValue(options, OptionNumber.size1);
    const refusal = this.#refusal(request, block, size === undefined ? undefined : uintValue(size));
    if (refusal !== undefined) {
      reply.send(refusal);
      return undefined;
    }
    const { peer } = request;
    const key = assemblyKey(request);
    const before = this.completed.get(peer, key);
    if (before !== undefined) {
      // RFC 9177 §4.3: a block that comes again is answered like the first.
      this.counters.duplicates++;
      reply.send(before.response ?? noAnswer);
      return undefined;
    }
    const body = this.held.get(peer, key) ?? this.#begin(peer, key, uintValue(size!), block.szx);
    if (body === undefined) {
      reply.send(full);
      return undefined;
    }
    if (body.size !== uintValue(size!) || body.szx !== block.szx) {
      this.counters.malformed++;
      reply.send(bad('another Size1 or block size'));
      return undefined;
    }
    const isNewSet = this.#setOf(block.number) > this.#setOf(body.highest);
    if (!this.#add(body, block.number, payload)) {
      reply.send(full);
      return undefined;
    }
    if (body.lowest === body.total) return { body: whole(body), completed: this.#complete(body, reply) };
    if (request.confirmable) reply.send(noAnswer);
    else this.#goOn(body, request, reply, isNewSet);
    return undefined;
  }

  #begin(peer: CoapPeer, key: string, size: number, szx: number): Body | undefined {
    const total = Math.max(1, Math.ceil(size / blockBytes(szx)));
    const body: Body = {
      ...{ peer, key, size, szx, total, blocks: new Map(), bytes: 0, lowest: 0, highest: -1 },
      ...{ reply: undefined, unwanted: 0, sinceMs: 0, repeats: 0, timer: undefined },
    };
    if (!this.held.put(peer, key, body, 0)) return undefined;
    this.counters.started++;
    return body;
  }

  /** False: there is no room, and the body is gone. */
  #add(body: Body, number: number, payload: Uint8Array): boolean {
    const isNew = !body.blocks.has(number);
    if (isNew) body.bytes += payload.length + blockCost;
    else this.counters.duplicates++;
    if (!this.held.touch(body.peer, body.key, body.bytes)) return false;
    // A piece of its own: the datagram around it is not kept.
    if (isNew) body.blocks.set(number, payload.slice());
    while (body.blocks.has(body.lowest)) body.lowest++;
    body.highest = Math.max(body.highest, number);
    return true;
  }

  #complete(body: Body, reply: Reply): Completed {
    // RFC 9177 §4.3: the token of the last request is for the answer, the others are released.
    if (body.reply !== reply) body.reply?.send(noAnswer);
    body.reply = undefined;
    this.held.delete(body.peer, body.key);
    const completed: Completed = { response: undefined };
    this.completed.put(body.peer, body.key, completed, answerBytes);
    this.counters.completed++;
    return completed;
  }

  /** A block that was not confirmable came, and others are missing (RFC 9177 §7.2). */
  #goOn(body: Body, request: CoapRequest, reply: Reply, isNewSet: boolean): void {
    const last = body.reply;
    body.reply = reply;
    body.unwanted = unwantedClasses(request.message.options);
    last?.send(noAnswer);
    reply.onGone = () => {
      if (body.reply === reply) body.reply = undefined;
    };
    body.sinceMs = this.#clock.monotonicMs();
    body.repeats = 0;
    const { maxPayloads } = this.#options;
    const { lowest, highest } = body;
    if (lowest > highest && lowest % maxPayloads === 0) {
      this.counters.continued++;
      const upTo = blockOption(OptionNumber.qBlock1, { number: lowest - 1, more: true, szx: body.szx });
      this.#tell(body, { code: Code.continue, options: [upTo], payload: noBytes });
    } else if (isNewSet) {
      // Those of earlier sets cannot be on their way any more.
      this.#askAgain(body, Math.floor(highest / maxPayloads) * maxPayloads);
    }
    body.timer ??= this.#timers.at(this.#dueMs(body), (nowMs) => this.#silent(body, nowMs));
  }

  #dueMs(body: Body): number {
    const { nonReceiveTimeoutMs, nonTimeoutMs } = this.#options;
    // RFC 9177 §7.2: a second more than the longest pause between two sets.
    return body.sinceMs + Math.max(nonReceiveTimeoutMs, nonTimeoutMs * 1.5 + 1000) * 2 ** body.repeats;
  }

  #silent(body: Body, nowMs: number): void {
    body.timer = undefined;
    const dueMs = this.#dueMs(body);
    if (dueMs <= nowMs) {
      const { nonMaxRetransmit, maxPayloads } = this.#options;
      // RFC 9177 §4.3, §7.2: a Reset came, or nothing at all.
      if (body.reply === undefined || body.repeats >= nonMaxRetransmit) {
        this.counters.givenUp++;
        this.held.delete(body.peer, body.key);
        return;
      }
      const set = this.#setOf(Math.max(body.lowest, body.highest));
      this.#askAgain(body, Math.min(body.total, (set + 1) * maxPayloads));
      body.repeats++;
      body.sinceMs = nowMs;
    }
    if (body.blocks.size > 0) body.timer ??= this.#timers.at(this.#dueMs(body), (ms) => this.#silent(body, ms));
  }

  /** For what is missing before block `end`: no more than goes at once. */
  #askAgain(body: Body, end: number): void {
    const missing: number[] = [];
    // RFC 9177 §5: it fits into one packet.
    const most = Math.min(this.#options.maxPayloads, Math.max(1, Math.floor((body.peer.maxMessageBytes - answerOverhead) / missingBytes)));
    for (let number = body.lowest; number < end && missing.length < most; number++) {
      if (!body.blocks.has(number)) missing.push(number);
    }
    if (missing.length === 0) return;
    this.counters.askedAgain++;
    const format = uintOption(OptionNumber.contentFormat, missingBlocksFormat);
    this.#tell(body, { code: Code.requestEntityIncomplete, options: [format], payload: missingBlocks(missing) });
  }

  /** As one of several answers: a Reset to it is noticed. */
  #tell(body: Body, response: CoapResponse): void {
    if (!isUnwanted(body.unwanted, response.code)) body.reply?.notify(response, false, () => {});
  }

  #ended(body: Body): void {
    this.#timers.cancel(body.timer);
    body.timer = undefined;
    const { reply } = body;
    body.reply = undefined;
    body.blocks.clear();
    reply?.send(noAnswer);
  }

  #setOf(number: number): number {
    return Math.floor(number / this.#options.maxPayloads);
  }

  #refusal({ message }: CoapRequest, block: Block, size: number | undefined): CoapResponse | undefined {
    const problem = faultOf(message.options, message.payload.length, block, size);
    const { maxBodyBytes } = this.#options;
    if (size !== undefined && size > maxBodyBytes) {
      this.counters.tooLarge++;
      return { code: Code.requestEntityTooLarge, options: [uintOption(OptionNumber.size1, maxBodyBytes)], payload: noBytes };
    }
    if (problem === undefined) return undefined;
    this.counters.malformed++;
    return bad(problem);
  }
}

function faultOf(options: readonly CoapOption[], length: number, block: Block, size: number | undefined): string | undefined {
  // RFC 9177 §4.3.
  if (size === undefined || !hasOption(options, OptionNumber.requestTag)) return 'Q-Block1 without Request-Tag or Size1';
  if (block.szx === bertSzx) return 'block size 7';
  // §4.6: the size is exact, so that each block is what it must be.
  const offset = blockOffset(block);
  const isLast = offset + length === size;
  if (block.more ? length !== blockBytes(block.szx) || offset + length >= size : !isLast || length > blockBytes(block.szx)) {
    return 'a block that does not fit Size1';
  }
  return undefined;
}

function whole(body: Body): Uint8Array {
  const bytes = new Uint8Array(body.size);
  const step = blockBytes(body.szx);
  for (const [number, block] of body.blocks) bytes.set(block, number * step);
  return bytes;
}

const full: CoapResponse = { code: Code.serviceUnavailable, options: [uintOption(OptionNumber.maxAge, 5)], payload: noBytes };

function bad(diagnostic: string): CoapResponse {
  return { code: Code.badRequest, options: [], payload: textBytes(diagnostic) };
}
