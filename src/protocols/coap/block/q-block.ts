// Robust transfers in blocks (RFC 9177), beside those of RFC 7959: many blocks at a time, and only what was lost again. Over UDP and DTLS.
//
//   request  Q-Block1: put together (q-request-bodies.ts). Q-Block2 for more of an answer: given from what is kept (q-answers.ts)
//   answer   in sets of blocks, to who has shown by either option that it takes them (§4.1)

import { Code } from '../codec/message.ts';
import { noBytes, textBytes } from '../codec/option-values.ts';
import { hasOption, OptionNumber } from '../codec/options.ts';
import { isUnwanted, unwantedClasses } from '../transport/no-response.ts';
import { readBlock } from './block-option.ts';
import { asksForWhole, QAnswers } from './q-answers.ts';
import { noAnswer, QRequestBodies } from './q-request-bodies.ts';

import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import type { Timers } from '../../../base/timers.ts';
import type { CoapOption } from '../codec/message.ts';
import type { CoapPeer, CoapRequest, CoapResponse, NotificationResult, Reply, RequestHandler } from '../exchange.ts';
import type { Block } from './block-option.ts';
import type { BlockOptions } from './block-settings.ts';
import type { QAsked } from './q-answers.ts';
import type { Completed } from './q-request-bodies.ts';

/** Of a response that is kept for blocks that come once more. */
const mostKeptBytes = 1024;

export class QBlock {
  readonly requests: QRequestBodies;
  readonly answers: QAnswers;
  readonly #next: RequestHandler;
  readonly #options: BlockOptions;

  constructor(next: RequestHandler, options: BlockOptions, clock: Clock, timers: Timers, random: Random) {
    this.#next = next;
    this.#options = options;
    this.requests = new QRequestBodies(options, clock, timers);
    this.answers = new QAnswers(options, clock, timers, random);
  }

  /** A request with Q-Block1 or Q-Block2. `peer`: as those above see it. */
  handle(request: CoapRequest, peer: CoapPeer, reply: Reply): void {
    const { message } = request;
    // RFC 9177 §4.8; only Q-Block2 makes sense there at all.
    if (request.isMulticast) return reply.send(noAnswer);
    const isMixed = hasOption(message.options, OptionNumber.block1) || hasOption(message.options, OptionNumber.block2);
    // §4.1: not in one message; and nobody needs it where nothing is lost.
    if (isMixed || !this.#options.qBlock || request.peer.isReliable) return reply.send(refusal(Code.badOption, 'Q-Block'));
    let block1: Block | undefined;
    const blocks: Block[] = [];
    const others: CoapOption[] = [];
    for (const option of message.options) {
      if (option.number === OptionNumber.qBlock1) block1 = readBlock(option.value);
      else if (option.number === OptionNumber.qBlock2) blocks.push(readBlock(option.value));
      else if (!isOfQBlocks(option.number)) others.push(option);
    }
    const fault = this.answers.fault(blocks);
    if (fault !== undefined) return reply.send(refusal(Code.badRequest, fault));
    let body = message.payload;
    let completed: Completed | undefined;
    if (block1 !== undefined) {
      const taken = this.requests.take(request, block1, reply);
      if (taken === undefined) return;
      ({ body, completed } = taken);
    }
    const asked = { request, body, blocks, reply };
    if (block1 === undefined && this.answers.more(asked)) return;
    const whole = { code: message.code, token: message.token, options: others, payload: body };
    const rest = block1 === undefined && !asksForWhole(blocks) ? { isRest: true } : undefined;
    this.#next.handle({ ...request, ...rest, message: whole, peer }, new QBlockReply(this.answers, asked, completed));
  }
}

function isOfQBlocks(number: number): boolean {
  return number === OptionNumber.size1 || number === OptionNumber.size2 || number === OptionNumber.requestTag;
}

function refusal(code: number, diagnostic: string): CoapResponse {
  return { code, options: [], payload: diagnostic === '' ? noBytes : textBytes(diagnostic) };
}

class QBlockReply implements Reply {
  readonly #answers: QAnswers;
  readonly #asked: QAsked;
  readonly #completed: Completed | undefined;
  readonly #unwanted: number;

  constructor(answers: QAnswers, asked: QAsked, completed: Completed | undefined) {
    this.#answers = answers;
    this.#asked = asked;
    this.#completed = completed;
    this.#unwanted = unwantedClasses(asked.request.message.options);
  }

  send(response: CoapResponse): void {
    this.#remember(response);
    // The transport knows what that means; it must not become several answers.
    if (isUnwanted(this.#unwanted, response.code)) this.#asked.reply.send(response);
    else this.#answers.answer(this.#asked, response, undefined, undefined);
  }

  sendConfirmed(response: CoapResponse, done: (result: NotificationResult) => void): void {
    this.#remember(response);
    if (isUnwanted(this.#unwanted, response.code)) this.#asked.reply.sendConfirmed(response, done);
    else this.#answers.answer(this.#asked, response, undefined, done);
  }

  notify(response: CoapResponse, confirmable: boolean, done: (result: NotificationResult) => void): void {
    this.#answers.answer(this.#asked, response, { confirmable, done }, undefined);
  }

  get onGone(): (() => void) | undefined {
    return this.#asked.reply.onGone;
  }

  set onGone(task: (() => void) | undefined) {
    this.#asked.reply.onGone = task;
  }

  #remember(response: CoapResponse): void {
    if (this.#completed !== undefined && response.payload.length <= mostKeptBytes) this.#completed.response = response;
  }
}
