// Answers and notifications that go out by Q-Block2 (RFC 9177 §4.4): set by set, and kept so that the blocks that were lost can be had again.
//
//   not confirmable   a set at once, the next after a pause or when the peer asks for it
//   confirmable       block after block, each when the one before is acknowledged

import { optionsLength } from '../codec/message-body.ts';
import { Code } from '../codec/message.ts';
import { noBytes, textBytes, uintOption } from '../codec/option-values.ts';
import { hasOption, OptionNumber, withOption, withoutOption } from '../codec/options.ts';
import { bertSzx, blockBytes, blockOption, largestSzx, szxWithin } from './block-option.ts';
import { contentTag } from './content-tag.ts';
import { Held } from './held.ts';
import { noAnswer } from './q-request-bodies.ts';
import { qAnswerKey } from './request-key.ts';

import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import type { Timer, Timers } from '../../../base/timers.ts';
import type { CoapPeer, CoapRequest, CoapResponse, NotificationResult, Reply } from '../exchange.ts';
import type { Block } from './block-option.ts';
import type { BlockOptions } from './block-settings.ts';

export type QAnswerCounters = {
  /** Answers and notifications of several blocks. */
  bodies: number;
  blocks: number;
  /** Sets that a peer asked to go on with. */
  continued: number;
  /** Requests for blocks that were missing. */
  recovered: number;
  /** For which the request had to be answered anew. */
  again: number;
};

type Done = (result: NotificationResult) => void;

/** Blocks on their way: `list` of numbers, or from 0 on to the last. */
type Run = {
  readonly reply: Reply;
  readonly list: readonly number[] | undefined;
  readonly count: number;
  readonly confirmable: boolean;
  /** A notification: more answers follow this one. */
  readonly observed: boolean;
  readonly pauseMs: number;
  at: number;
  /** Its first block went twice. */
  isRepeated: boolean;
  timer: Timer | undefined;
  sentMs: number;
  /** Of a notification; called once. */
  done: Done | undefined;
  isOver: boolean;
};

type Kept = {
  readonly peer: CoapPeer;
  /** Where it is held, and for which requests it has more. */
  readonly key: string;
  readonly asked: string;
  readonly response: CoapResponse;
  readonly requestBody: Uint8Array;
  readonly bytes: number;
  readonly szx: number;
  readonly total: number;
  readonly sinceMs: number;
  /** All of it goes out by itself, not only what was asked for. */
  isWhole: boolean;
  main: Run | undefined;
  recovery: Run | undefined;
  /** Who wants to know whether the peer has all of it. */
  done: Done | undefined;
};

/** What is answered: by whom it was asked, and which blocks are wanted (Q-Block2 of the request). */
export type QAsked = { readonly request: CoapRequest; readonly body: Uint8Array; readonly blocks: readonly Block[]; readonly reply: Reply };
export type QNotice = { readonly confirmable: boolean; readonly done: Done };

/** Header, the longest token that is not extended, the marker of the payload, Q-Block2, Size2 and ETag at their widest. */
const overhead = 4 + 8 + 1 + 5 + 6 + 9;

export class QAnswers {
  readonly counters: QAnswerCounters = { bodies: 0, blocks: 0, continued: 0, recovered: 0, again: 0 };
  readonly held: Held<Kept>;
  /** By what they have more for, the newest last: a notification and an answer may be under way at a time. */
  readonly #byRequest = new WeakMap<CoapPeer, Map<string, Set<Kept>>>();
  readonly #options: BlockOptions;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #random: Random;

  constructor(options: BlockOptions, clock: Clock, timers: Timers, random: Random) {
    this.#options = options;
    this.#clock = clock;
    this.#timers = timers;
    this.#random = random;
    this.held = new Held(options, 'dropOldest', clock, timers, (kept) => this.#dropped(kept));
  }

  /** What is wrong with the Q-Block2 options of a request; undefined: nothing. */
  fault(blocks: readonly Block[]): string | undefined {
    for (let i = 0; i < blocks.length; i++) {
      const { szx, number } = blocks[i]!;
      if (szx === bertSzx || szx !== blocks[0]!.szx) return 'block size';
      // RFC 9177 §4.4.
      if (i > 0 && number <= blocks[i - 1]!.number) return 'Q-Block2 not ascending';
    }
    return undefined;
  }

  /** A request for more of what is kept. False: it has to be answered, or answered anew. */
  more(asked: QAsked): boolean {
    const { request, body, blocks, reply } = asked;
    if (asksForWhole(blocks)) return false;
    const isSafe = request.message.code === Code.get || request.message.code === Code.fetch;
    const found = this.#keptFor(request, isSafe).filter((kept) => body.length === 0 || sameBytes(body, kept.requestBody));
    // Block 0 alone: a block that was lost, or an answer of which only the beginning is wanted.
    const kept = isFirstAlone(blocks) ? found.find(({ isWhole }) => isWhole) : found[0];
    if (kept === undefined) {
      if (isFirstAlone(blocks)) return false;
      this.counters.again++;
      // What was done once must not be done again for the rest of its answer.
      if (!isSafe) reply.send(notKept);
      return !isSafe;
    }
    for (const each of found) this.held.touch(each.peer, each.key, each.bytes);
    if (this.#isContinue(blocks) && found.some((each) => this.#continue(each, blocks[0]!))) reply.send(noAnswer);
    else this.#recover(kept, asked);
    return true;
  }

  /** The newest first. */
  #keptFor(request: CoapRequest, isSafe: boolean): Kept[] {
    const found: Kept[] = [];
    const oldestMs = this.#clock.monotonicMs() - 2 * this.#options.transferTimeoutMs;
    for (const kept of this.#byRequest.get(request.peer)?.get(qAnswerKey(request)) ?? []) {
      if (!isSafe || kept.sinceMs >= oldestMs) found.unshift(kept);
    }
    // What is too old may be removed by this.
    return found.filter((kept) => this.held.get(kept.peer, kept.key) === kept);
  }

  #keep(kept: Kept): boolean {
    if (!this.held.put(kept.peer, kept.key, kept, kept.bytes)) return false;
    let ofPeer = this.#byRequest.get(kept.peer);
    if (ofPeer === undefined) this.#byRequest.set(kept.peer, (ofPeer = new Map()));
    const others = ofPeer.get(kept.asked);
    if (others === undefined) ofPeer.set(kept.asked, new Set([kept]));
    else others.add(kept);
    return true;
  }

  /** The answer goes out, as a whole or in blocks. `notice`: it is a notification. `done`: somebody wants to know whether it arrives. */
  answer(asked: QAsked, response: CoapResponse, notice: QNotice | undefined, done: Done | undefined): void {
    const { request, body, blocks, reply } = asked;
    const { peer } = request;
    const { length } = response.payload;
    const room = peer.maxMessageBytes - overhead - optionsLength(response.options);
    if (blocks.length === 0 && length <= room) return deliver(reply, response, notice, done);
    const szx = Math.min(blocks[0]?.szx ?? largestSzx, szxWithin(Math.min(this.#options.blockBytes, room)));
    const total = Math.max(1, Math.ceil(length / blockBytes(szx)));
    const key = qAnswerKey(request);
    // What somebody waits for is not replaced by what others ask of the same.
    const isOwn = notice !== undefined || done !== undefined;
    const kept: Kept = {
      ...{ peer, key: isOwn ? ownKey(request) + key : key, asked: key, response: described(response, total), requestBody: body },
      ...{ bytes: length + body.length, szx, total, sinceMs: this.#clock.monotonicMs(), isWhole: false },
      ...{ main: undefined, recovery: undefined, done },
    };
    if (total === 1 && isInitial(blocks)) return deliver(reply, blockOf(kept, 0), notice, done);
    if (!this.#keep(kept)) {
      done?.('lost');
      return deliver(reply, full, notice, undefined);
    }
    this.counters.bodies++;
    if (!isInitial(blocks) && notice === undefined) return this.#recover(kept, asked);
    const only = isFirstAlone(blocks) && notice === undefined ? [0] : undefined;
    kept.isWhole = only === undefined;
    // What goes to an address that is not proven is confirmable anyway.
    const confirmable = notice === undefined ? request.confirmable || !peer.isProven : notice.confirmable || !peer.isProven;
    const run = this.#run(kept, reply, only, confirmable, notice);
    kept.main = run;
    this.#go(kept, run);
  }

  /** RFC 9177 §4.4: the first block of a set, and those behind it. */
  #isContinue(blocks: readonly Block[]): boolean {
    return blocks.length === 1 && blocks[0]!.more && blocks[0]!.number % this.#options.maxPayloads === 0;
  }

  /** True: what was under way goes on, or was just about to. */
  #continue(kept: Kept, { number, szx }: Block): boolean {
    const run = kept.main;
    if (run === undefined || run.list !== undefined || szx !== kept.szx || run.at < number) return false;
    const crossed = run.at > number && this.#clock.monotonicMs() - run.sentMs < this.#options.nonTimeoutMs;
    if (run.confirmable || crossed) return true;
    if (run.at > number) return false;
    this.counters.continued++;
    this.#timers.cancel(run.timer);
    run.timer = undefined;
    this.#go(kept, run);
    return true;
  }

  #recover(kept: Kept, { request, blocks, reply }: QAsked): void {
    const list = this.#numbers(kept, blocks);
    if (list === undefined) return reply.send(beyond);
    this.counters.recovered++;
    this.#end(kept, kept.recovery, 'lost');
    const run = this.#run(kept, reply, list, request.confirmable || !kept.peer.isProven, undefined);
    kept.recovery = run;
    this.#go(kept, run);
    this.#pause(kept);
  }

  /** Each once, ascending; undefined: there is none of them. In sizes of what is kept: a smaller one asked for is a part of it. */
  #numbers(kept: Kept, blocks: readonly Block[]): number[] | undefined {
    const { maxPayloads } = this.#options;
    const asked = blockBytes(blocks[0]!.szx);
    const size = blockBytes(kept.szx);
    const numbers: number[] = [];
    for (const { number, more } of blocks) {
      const first = Math.floor((number * asked) / size);
      const end = more ? (Math.floor(first / maxPayloads) + 1) * maxPayloads : Math.ceil(((number + 1) * asked) / size);
      for (let next = Math.max(first, (numbers.at(-1) ?? -1) + 1); next < Math.min(end, kept.total); next++) numbers.push(next);
    }
    return numbers.length === 0 ? undefined : numbers;
  }

  #run(kept: Kept, reply: Reply, list: readonly number[] | undefined, confirmable: boolean, notice: QNotice | undefined): Run {
    const run: Run = {
      ...{ reply, list, count: list?.length ?? kept.total, confirmable, observed: notice !== undefined },
      // RFC 9177 §7.2: NON_TIMEOUT_RANDOM, chosen once for a body.
      pauseMs: this.#options.nonTimeoutMs * (1 + this.#random.float() / 2),
      ...{ at: 0, isRepeated: false, timer: undefined, sentMs: 0, done: notice?.done, isOver: false },
    };
    // Who gets notifications has set this for all of them.
    if (notice === undefined) reply.onGone = () => this.#end(kept, run, 'lost');
    return run;
  }

  #go(kept: Kept, run: Run): void {
    if (run.isOver) return;
    run.sentMs = this.#clock.monotonicMs();
    if (run.confirmable) return this.#nextConfirmable(kept, run);
    const { maxPayloads } = this.#options;
    const set = Math.floor(numberAt(run) / maxPayloads);
    while (run.at < run.count && Math.floor(numberAt(run) / maxPayloads) === set) {
      this.#emit(kept, run, (result) => {
        if (result === 'lost' || result === 'rejected') this.#end(kept, run, result);
      });
      if (run.isOver) return;
    }
    if (run.at === run.count) return this.#end(kept, run, 'sent');
    this.held.touch(kept.peer, kept.key, kept.bytes);
    // A later notification may take its place: that is no loss.
    const { done } = run;
    run.done = undefined;
    done?.('sent');
    if (run.isOver) return;
    this.#armNext(kept, run, run.sentMs);
  }

  /** RFC 9177 §7.2: after blocks that were missing the next set waits anew. */
  #pause(kept: Kept): void {
    const { main } = kept;
    if (main?.timer === undefined) return;
    this.#timers.cancel(main.timer);
    this.#armNext(kept, main, this.#clock.monotonicMs());
  }

  #armNext(kept: Kept, run: Run, fromMs: number): void {
    run.timer = this.#timers.at(fromMs + run.pauseMs, () => {
      run.timer = undefined;
      this.#go(kept, run);
    });
  }

  #nextConfirmable(kept: Kept, run: Run): void {
    this.#emit(kept, run, (result) => {
      // It went on the acknowledgement of the request. Was that lost, the next block would end the repetitions of the request (RFC 7252
      // §5.2.2), and nobody would know: so it goes once more, as a message of its own.
      const isUnsure = result === 'sent' && run.at === 1 && run.count > 1 && !run.isOver && !run.isRepeated;
      if (isUnsure) {
        run.isRepeated = true;
        run.at = 0;
      } else if (result === 'lost' || result === 'rejected' || run.at === run.count) return this.#end(kept, run, result);
      if (run.isOver) return;
      this.held.touch(kept.peer, kept.key, kept.bytes);
      this.#nextConfirmable(kept, run);
    });
  }

  #emit(kept: Kept, run: Run, sent: Done): void {
    const number = numberAt(run);
    run.at++;
    this.counters.blocks++;
    const block = blockOf(kept, number);
    // RFC 9177 §4.5: blocks that are sent again are no notifications.
    const own = run.observed ? block : { ...block, options: withoutOption(block.options, OptionNumber.observe) };
    const isLast = number === kept.total - 1;
    const result: Done = (fate) => {
      if (isLast) settle(kept, fate);
      sent(fate);
    };
    if (run.at < run.count || run.observed) run.reply.notify(own, run.confirmable, result);
    else if (isLast && kept.done !== undefined) run.reply.sendConfirmed(own, result);
    else {
      run.reply.onGone = undefined;
      run.reply.send(own);
      result('sent');
    }
  }

  #end(kept: Kept, run: Run | undefined, result: NotificationResult): void {
    if (run === undefined || run.isOver) return;
    run.isOver = true;
    this.#timers.cancel(run.timer);
    run.timer = undefined;
    const { done, reply } = run;
    run.done = undefined;
    done?.(result);
    // What stopped on its way will not arrive by itself.
    if (run === kept.main && run.at < run.count) settle(kept, result);
    if (run.observed || run.at === run.count) return;
    reply.onGone = undefined;
    reply.send(noAnswer);
  }

  #dropped(kept: Kept): void {
    const ofPeer = this.#byRequest.get(kept.peer);
    const others = ofPeer?.get(kept.asked);
    others?.delete(kept);
    if (others?.size === 0) ofPeer!.delete(kept.asked);
    this.#end(kept, kept.main, 'lost');
    this.#end(kept, kept.recovery, 'lost');
    settle(kept, 'lost');
  }
}

function settle(kept: Kept, result: NotificationResult): void {
  const { done } = kept;
  kept.done = undefined;
  done?.(result);
}

/** It asks for the whole, or for no more than its beginning: what is answered is made now. */
function isInitial(blocks: readonly Block[]): boolean {
  return asksForWhole(blocks) || isFirstAlone(blocks);
}

/** RFC 9177 §4.4: block 0 with M, or an answer to a request that has but Q-Block1. */
export function asksForWhole(blocks: readonly Block[]): boolean {
  return blocks.length === 0 || (blocks.length === 1 && blocks[0]!.number === 0 && blocks[0]!.more);
}

function isFirstAlone(blocks: readonly Block[]): boolean {
  return blocks.length === 1 && blocks[0]!.number === 0 && !blocks[0]!.more;
}

/** Before what the same peer asks for otherwise: no code of a request begins so. */
function ownKey({ message: { token } }: CoapRequest): string {
  return String.fromCharCode(0xffff, token.length, ...token);
}

function numberAt(run: Run): number {
  return run.list === undefined ? run.at : run.list[run.at]!;
}

/**
 * RFC 9177 §4.4, §4.6: all blocks have the ETag and the size of the whole. What is whole needs no ETag. libcoap looks for Q-Block2 in any
 * answer, errors too, to find out whether it is understood.
 */
function described(response: CoapResponse, total: number): CoapResponse {
  const { payload } = response;
  const tagged =
    total === 1 || hasOption(response.options, OptionNumber.etag)
      ? response.options
      : withOption(response.options, { number: OptionNumber.etag, value: contentTag(payload) });
  return { code: response.code, options: withOption(tagged, uintOption(OptionNumber.size2, payload.length)), payload };
}

function blockOf({ response, szx, total }: Kept, number: number): CoapResponse {
  const size = blockBytes(szx);
  const option = blockOption(OptionNumber.qBlock2, { number, more: number < total - 1, szx });
  const payload = response.payload.subarray(number * size, (number + 1) * size);
  return { code: response.code, options: withOption(response.options, option), payload };
}

function deliver(reply: Reply, response: CoapResponse, notice: QNotice | undefined, done: Done | undefined): void {
  if (notice !== undefined) reply.notify(response, notice.confirmable, notice.done);
  else if (done !== undefined) reply.sendConfirmed(response, done);
  else reply.send(response);
}

const full: CoapResponse = { code: Code.serviceUnavailable, options: [uintOption(OptionNumber.maxAge, 5)], payload: noBytes };
const notKept: CoapResponse = { code: Code.requestEntityIncomplete, options: [], payload: textBytes('the rest of the answer is not kept') };
const beyond: CoapResponse = { code: Code.badRequest, options: [], payload: textBytes('beyond the last block') };

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
