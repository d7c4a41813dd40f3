// Answers that are larger than a message (RFC 7959 §2.4): the first block goes out, and the whole is kept for the peer for a while, so that the
// blocks that follow are of the same representation. What is no longer kept is asked for again where that changes nothing (random access).

import { optionsLength } from '../codec/message-body.ts';
import { Code } from '../codec/message.ts';
import { noBytes, textBytes, uintOption } from '../codec/option-values.ts';
import { hasOption, OptionNumber, withOption } from '../codec/options.ts';
import { bertSzx, blockBytes, blockOffset, blockOption, largestSzx, maxBlockNumber, szxWithin } from './block-option.ts';
import { contentTag } from './content-tag.ts';
import { Held } from './held.ts';
import { answerKey } from './request-key.ts';

import type { Clock } from '../../../base/clock.ts';
import type { Timers } from '../../../base/timers.ts';
import type { CoapOption } from '../codec/message.ts';
import type { CoapPeer, CoapRequest, CoapResponse, NotificationResult } from '../exchange.ts';
import type { Block } from './block-option.ts';
import type { BlockOptions } from './block-settings.ts';

export type AnswerCounters = {
  /** Answers and notifications of which only the first block went out. */
  cut: number;
  /** Further blocks given from what was kept. */
  blocks: number;
  /** Further blocks for which the request had to be answered anew. */
  again: number;
};

type Measure = { readonly szx: number; readonly bytes: number };
type Done = (result: NotificationResult) => void;
/** `done`: somebody wants to know whether the peer has all of it. */
type Kept = { readonly response: CoapResponse; readonly requestBody: Uint8Array; readonly sinceMs: number; done: Done | undefined };
/** What goes out, and whether somebody wants to know if it arrives. */
export type Cut = { readonly response: CoapResponse; readonly done: Done | undefined };

/** Header, the longest token that is not extended, the marker of the payload, and Block1, Block2 and Size2 at their widest. */
const messageOverhead = 4 + 8 + 1 + 2 * 5 + 6;
/** An ETag of ours. */
const etagOverhead = 9;
/** Fewer bytes of payload than that below what a message takes are not looked at more closely. */
const roomForOptions = 300;

export class AnswerBlocks {
  readonly counters: AnswerCounters = { cut: 0, blocks: 0, again: 0 };
  readonly held: Held<Kept>;
  readonly #options: BlockOptions;
  readonly #clock: Clock;
  #lastBody: Uint8Array | undefined;
  #lastTag: Uint8Array = noBytes;

  constructor(options: BlockOptions, clock: Clock, timers: Timers) {
    this.#options = options;
    this.#clock = clock;
    // They can mostly be made again.
    this.held = new Held(options, 'dropOldest', clock, timers, (kept) => {
      const { done } = kept;
      kept.done = undefined;
      done?.('lost');
    });
  }

  /** A further block of an answer that is kept, if it is; undefined: the request has to be answered. `body`: of the request, whole. */
  further(request: CoapRequest, body: Uint8Array, block: Block): Cut | undefined {
    const { peer, message } = request;
    const isSafe = message.code === Code.get || message.code === Code.fetch;
    const key = answerKey(request);
    const kept = this.held.get(peer, key);
    // Whoever only ever asks for blocks in the middle shall see changes, too.
    const isTooOld = kept !== undefined && isSafe && this.#clock.monotonicMs() - kept.sinceMs > 2 * this.#options.transferTimeoutMs;
    // RFC 8132 §2: the body of a FETCH says what is asked for. Those who ask for a further block may leave it out.
    const isOther = kept !== undefined && body.length > 0 && !sameBytes(body, kept.requestBody);
    if (kept === undefined || isTooOld || isOther) {
      if (isSafe) {
        this.counters.again++;
        return undefined;
      }
      // What was done once must not be done again for the rest of its answer.
      return { response: notKept(), done: undefined };
    }
    this.counters.blocks++;
    const cut = this.#cut(kept.response, block, this.#measure(peer, kept.response, block), false);
    const isLast = cut.code === kept.response.code && blockOffset(block) + cut.payload.length >= kept.response.payload.length;
    const done = isLast ? kept.done : undefined;
    if (isLast) kept.done = undefined;
    if (isLast && isSafe) this.held.delete(peer, key);
    else this.held.touch(peer, key, kept.response.payload.length + kept.requestBody.length);
    return { response: cut, done };
  }

  /** What goes out for a whole answer: all of it, or the block that was asked for. `block`: Block2 of the request. */
  first(request: CoapRequest, body: Uint8Array, block: Block | undefined, response: CoapResponse, done: Done | undefined): Cut {
    const { peer } = request;
    const { length } = response.payload;
    if (block === undefined && fits(peer, response)) return { response, done };
    // RFC 7959 §2.4: a block that was asked for has its option; errors are not cut as long as they fit.
    if (block !== undefined && (length === 0 || (response.code >= Code.badRequest && fits(peer, response)))) return { response, done };
    const measure = this.#measure(peer, response, block);
    const from = block ?? { number: 0, more: false, szx: measure.szx };
    const offset = blockOffset(from);
    if (offset === 0 && length <= measure.bytes) {
      return { response: block === undefined ? response : this.#cut(response, from, measure, false), done };
    }
    const tagged = this.#tagged(response);
    if (offset === 0) {
      this.counters.cut++;
      const kept = { response: tagged, requestBody: body, sinceMs: this.#clock.monotonicMs(), done };
      const isKept = this.held.put(peer, answerKey(request), kept, length + body.length);
      if (isKept || done === undefined) return { response: this.#cut(tagged, from, measure, true), done: undefined };
    }
    // What can be had only once cannot be had from its middle on, nor without a place to keep it.
    if (done !== undefined) {
      done('lost');
      return { response: notKept(), done: undefined };
    }
    return { response: this.#cut(tagged, from, measure, false), done };
  }

  /** The part of `response` that begins where `block` does. */
  #cut(response: CoapResponse, block: Block, { szx, bytes }: Measure, isFirst: boolean): CoapResponse {
    const { payload } = response;
    const offset = blockOffset(block);
    if (offset >= payload.length && offset > 0) return { code: Code.badRequest, options: [], payload: textBytes('beyond the last block') };
    const number = offset / blockBytes(szx);
    const end = Math.min(payload.length, offset + bytes);
    if (number > maxBlockNumber) return { code: Code.badRequest, options: [], payload: textBytes('block number') };
    const more = end < payload.length;
    let options = withOption(response.options, blockOption(OptionNumber.block2, { number, more, szx }));
    // RFC 7959 §4: how much there is to come.
    if (isFirst) options = withOption(options, uintOption(OptionNumber.size2, payload.length));
    return { code: response.code, options, payload: payload.subarray(offset, end) };
  }

  /** What one message may carry: not above what was asked for, what we want, and what the packet has room for. */
  #measure(peer: CoapPeer, response: CoapResponse, block: Block | undefined): Measure {
    const etagBytes = hasOption(response.options, OptionNumber.etag) ? 0 : etagOverhead;
    const room = peer.maxMessageBytes - messageOverhead - optionsLength(response.options) - etagBytes;
    const asked = block?.szx ?? (peer.isReliable ? bertSzx : largestSzx);
    if (asked === bertSzx && room >= 1024 && (block !== undefined || peer.maxMessageBytes > baseMessageBytes)) {
      return { szx: bertSzx, bytes: room - (room % 1024) };
    }
    // Over a reliable transport small blocks have no use but to fit.
    const szx = Math.min(asked, szxWithin(peer.isReliable ? room : Math.min(this.#options.blockBytes, room)));
    return { szx, bytes: blockBytes(szx) };
  }

  #tagged(response: CoapResponse): CoapResponse {
    const { payload, options } = response;
    if (hasOption(options, OptionNumber.etag)) return response;
    // One representation often goes to many observers.
    if (this.#lastBody !== payload) {
      this.#lastTag = contentTag(payload);
      this.#lastBody = payload;
    }
    const etag: CoapOption = { number: OptionNumber.etag, value: this.#lastTag };
    return { ...response, options: withOption(options, etag) };
  }
}

/** RFC 8323 §5.3.1: the size of messages that every peer takes. BERT is only for those who have said that they take more (§6). */
const baseMessageBytes = 1152;

function fits(peer: CoapPeer, response: CoapResponse): boolean {
  const room = peer.maxMessageBytes - messageOverhead - response.payload.length;
  return room >= roomForOptions || room >= optionsLength(response.options);
}

function notKept(): CoapResponse {
  return { code: Code.requestEntityIncomplete, options: [], payload: textBytes('the rest of the answer is not kept') };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
