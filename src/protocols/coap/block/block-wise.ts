// The layer of blocks (RFC 7959; BERT of RFC 8323 §6): above it there are only whole bodies, below it only messages that fit.
//
//   request  Block1: put together (request-assembly.ts). Block2 beyond the first: given from what is kept (answer-blocks.ts)
//   answer   cut when it does not fit, or when the peer asked for smaller pieces
//   both     by Q-Block1 and Q-Block2 (RFC 9177) where a peer wants it (q-block.ts)
//   peer     requests to devices go out and come back whole, too (block-peer.ts)

import { Code } from '../codec/message.ts';
import { textBytes } from '../codec/option-values.ts';
import { OptionNumber, withOption } from '../codec/options.ts';
import { AnswerBlocks } from './answer-blocks.ts';
import { bertSzx, blockOption, readBlock } from './block-option.ts';
import { BlockPeer } from './block-peer.ts';
import { QBlock } from './q-block.ts';
import { RequestAssembly } from './request-assembly.ts';

import type { Clock } from '../../../base/clock.ts';
import type { Sample } from '../../../base/metrics.ts';
import type { Random } from '../../../base/random.ts';
import type { Timers } from '../../../base/timers.ts';
import type { CoapOption } from '../codec/message.ts';
import type { CoapPeer, CoapRequest, CoapResponse, NotificationResult, Reply, RequestHandler } from '../exchange.ts';
import type { Cut } from './answer-blocks.ts';
import type { Block } from './block-option.ts';
import type { BlockPeerCounters } from './block-peer.ts';
import type { BlockOptions } from './block-settings.ts';

export type BlockWiseParts = {
  readonly next: RequestHandler;
  readonly options: BlockOptions;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
};

export class BlockWise implements RequestHandler {
  readonly #next: RequestHandler;
  readonly #options: BlockOptions;
  readonly #assembly: RequestAssembly;
  readonly #answers: AnswerBlocks;
  readonly #qBlock: QBlock;
  readonly #peers = new WeakMap<CoapPeer, BlockPeer>();
  readonly #outgoing: BlockPeerCounters = { requests: 0, answers: 0, failed: 0, bytes: 0 };

  constructor({ next, options, clock, timers, random }: BlockWiseParts) {
    this.#next = next;
    this.#options = options;
    this.#assembly = new RequestAssembly(options, clock, timers);
    this.#answers = new AnswerBlocks(options, clock, timers);
    this.#qBlock = new QBlock(next, options, clock, timers, random);
  }

  handle(request: CoapRequest, reply: Reply): void {
    const { options } = request.message;
    let hasBlocks = false;
    let hasQBlocks = false;
    for (let i = 0; i < options.length; i++) {
      const { number } = options[i]!;
      hasBlocks ||= isOfBlocks(number);
      hasQBlocks ||= number === OptionNumber.qBlock1 || number === OptionNumber.qBlock2;
    }
    const peer = this.peer(request.peer);
    if (hasQBlocks) this.#qBlock.handle(request, peer, reply);
    else if (!hasBlocks) {
      const whole = { ...request, peer };
      this.#next.handle(whole, new BlockReply(this.#answers, request, request.message.payload, undefined, undefined, reply));
    } else this.#blocks(request, peer, reply);
  }

  /** The same peer, for requests that need not fit into a message. One for each, as long as it lives. */
  peer(under: CoapPeer): CoapPeer {
    let peer = this.#peers.get(under);
    if (peer === undefined) {
      peer = new BlockPeer(under, this.#options, this.#outgoing);
      this.#peers.set(under, peer);
    }
    return peer;
  }

  *metrics(): Iterable<Sample> {
    const assembly = this.#assembly;
    const answers = this.#answers;
    yield gauge('block_requests', 'Bodies of requests of which blocks are still to come.', assembly.held.size);
    yield gauge('block_request_bytes', 'Memory of bodies of requests that are not complete.', assembly.held.bytes);
    yield gauge('block_answers', 'Answers that are kept for peers to fetch the rest of.', answers.held.size);
    yield gauge('block_answer_bytes', 'Memory of answers that are kept for peers to fetch the rest of.', answers.held.bytes);
    yield gauge('block_outgoing_bytes', "Memory of devices' answers that are not complete.", this.#outgoing.bytes);
    const { started, completed, incomplete, tooLarge, malformed } = assembly.counters;
    const { expired, dropped, refused } = assembly.held.counters;
    const ends = { started, completed, incomplete, too_large: tooLarge, malformed, expired, dropped, refused };
    yield* counters('block_request_events_total', 'Bodies of requests that came in blocks, by what became of them.', ends);
    const { cut, blocks, again } = answers.counters;
    const kept = { cut, blocks, again, expired: answers.held.counters.expired, dropped: answers.held.counters.dropped };
    yield* counters('block_answer_events_total', 'Answers in blocks: cut, blocks given, answered anew, no longer kept.', kept);
    const { requests, answers: fetched, failed } = this.#outgoing;
    yield* counters('block_outgoing_events_total', 'Requests to devices and their answers in blocks.', {
      requests,
      answers: fetched,
      failed,
    });
    yield* this.#qMetrics();
  }

  *#qMetrics(): Iterable<Sample> {
    const { requests, answers } = this.#qBlock;
    yield gauge('qblock_requests', 'Bodies by Q-Block1 of which blocks are still to come.', requests.held.size);
    yield gauge('qblock_request_bytes', 'Memory of those.', requests.held.bytes);
    yield gauge('qblock_completed', 'Bodies by Q-Block1 that were complete and are remembered.', requests.completed.size);
    yield gauge('qblock_answers', 'Answers by Q-Block2 that are kept for blocks to be asked for again.', answers.held.size);
    yield gauge('qblock_answer_bytes', 'Memory of those.', answers.held.bytes);
    const { askedAgain, duplicates, givenUp, tooLarge, ...others } = requests.counters;
    const { expired, dropped, refused } = requests.held.counters;
    const events = { ...others, asked_again: askedAgain, duplicates, given_up: givenUp, too_large: tooLarge, expired, dropped, refused };
    yield* counters('qblock_request_events_total', 'Bodies by Q-Block1: what became of them, and answers in between.', events);
    const kept = { ...answers.counters, expired: answers.held.counters.expired, dropped: answers.held.counters.dropped };
    yield* counters('qblock_answer_events_total', 'Answers by Q-Block2: bodies, blocks, sets and missing blocks asked for.', kept);
  }

  #blocks(request: CoapRequest, peer: CoapPeer, reply: Reply): void {
    const { message } = request;
    let block1: Block | undefined;
    let block2: Block | undefined;
    const rest: CoapOption[] = [];
    for (const option of message.options) {
      if (option.number === OptionNumber.block1) block1 ??= readBlock(option.value);
      else if (option.number === OptionNumber.block2) block2 ??= readBlock(option.value);
      else if (!isOfBlocks(option.number)) rest.push(option);
    }
    // RFC 7959 §2.2: reserved over UDP, in either option.
    if (block2?.szx === bertSzx && !request.peer.isReliable) {
      reply.send({ code: Code.badRequest, options: [], payload: textBytes('block size 7') });
      return;
    }
    let body = message.payload;
    if (block1 !== undefined) {
      const assembled = this.#assembly.take(request, block1);
      if ('answer' in assembled) {
        reply.send(assembled.answer);
        return;
      }
      body = assembled.body;
    }
    const way = new BlockReply(this.#answers, request, body, block1, block2, reply);
    if (block2 !== undefined && block2.number > 0) {
      const further = this.#answers.further(request, body, block2);
      if (further !== undefined) {
        way.passOn(further);
        return;
      }
    }
    const whole = { code: message.code, token: message.token, options: rest, payload: body };
    const further = block2 !== undefined && block2.number > 0 ? { isRest: true } : undefined;
    this.#next.handle({ ...request, ...further, message: whole, peer }, way);
  }
}

/** What only this layer reads. Sizes and tags go with the blocks that they are about. */
function isOfBlocks(number: number): boolean {
  switch (number) {
    case OptionNumber.block1:
    case OptionNumber.block2:
    case OptionNumber.size1:
    case OptionNumber.size2:
    case OptionNumber.requestTag:
      return true;
    default:
      return false;
  }
}

/** Cuts what comes down. */
class BlockReply implements Reply {
  readonly #answers: AnswerBlocks;
  readonly #request: CoapRequest;
  readonly #body: Uint8Array;
  readonly #block1: Block | undefined;
  readonly #block2: Block | undefined;
  readonly #under: Reply;

  constructor(
    answers: AnswerBlocks,
    request: CoapRequest,
    body: Uint8Array,
    block1: Block | undefined,
    block2: Block | undefined,
    under: Reply,
  ) {
    this.#answers = answers;
    this.#request = request;
    this.#body = body;
    this.#block1 = block1;
    this.#block2 = block2;
    this.#under = under;
  }

  send(response: CoapResponse): void {
    this.passOn(this.#answers.first(this.#request, this.#body, this.#block2, response, undefined));
  }

  /** The peer has it when it has the last block: who fetches the rest tells so. */
  sendConfirmed(response: CoapResponse, done: (result: NotificationResult) => void): void {
    this.passOn(this.#answers.first(this.#request, this.#body, this.#block2, response, done));
  }

  notify(response: CoapResponse, confirmable: boolean, done: (result: NotificationResult) => void): void {
    const cut = this.#answers.first(this.#request, this.#body, this.#block2, response, undefined);
    this.#under.notify(this.#withBlock1(cut.response), confirmable, done);
  }

  /** It is cut already. */
  passOn({ response, done }: Cut): void {
    if (done === undefined) this.#under.send(this.#withBlock1(response));
    else this.#under.sendConfirmed(this.#withBlock1(response), done);
  }

  get onGone(): (() => void) | undefined {
    return this.#under.onGone;
  }

  set onGone(task: (() => void) | undefined) {
    this.#under.onGone = task;
  }

  /** RFC 7959 §2.3: which block it answers; a body that is too large is so in any blocks (§2.9.3). */
  #withBlock1(response: CoapResponse): CoapResponse {
    if (this.#block1 === undefined || response.code === Code.requestEntityTooLarge) return response;
    return { ...response, options: withOption(response.options, blockOption(OptionNumber.block1, { ...this.#block1, more: false })) };
  }
}

function gauge(what: string, help: string, value: number): Sample {
  return { name: `heliograph_coap_${what}`, help, type: 'gauge', value };
}

function* counters(what: string, help: string, values: Readonly<Record<string, number>>): Iterable<Sample> {
  for (const [event, value] of Object.entries(values)) {
    yield { name: `heliograph_coap_${what}`, help, type: 'counter', labels: { event }, value };
  }
}
