// One request to a device, with what it takes of blocks in both directions (RFC 7959 §2.4, §2.5; RFC 8323 §6).
//
//   sending    the body goes out block by block; each waits for the answer to the one before
//   answered   an answer came whole, or its first block; of an observation there may be many
//   fetching   the rest of it is asked for. A newer notification ends that: what it began is out of date (RFC 7959 §3.4)

import { optionsLength } from '../codec/message-body.ts';
import { Code } from '../codec/message.ts';
import { noBytes, uintBytes, uintOption, uintValue } from '../codec/option-values.ts';
import { hasOption, OptionNumber, optionValue, withOption, withoutOption } from '../codec/options.ts';
import { bertSzx, blockBytes, blockOffset, blockOption, readBlock, szxWithin } from './block-option.ts';
import { BodyBuffer } from './body-buffer.ts';

import type { CoapOption } from '../codec/message.ts';
import type { CoapPeer, CoapResponse, OutgoingRequest, RequestFailure } from '../exchange.ts';
import type { BlockPeerCounters } from './block-peer.ts';
import type { BlockOptions } from './block-settings.ts';

export type OutgoingParts = {
  readonly peer: CoapPeer;
  readonly options: BlockOptions;
  readonly counters: BlockPeerCounters;
  /** A number that no other transfer to this peer has. */
  readonly tag: () => number;
};

/** Header, the longest token that is not extended, marker, and the options of blocks. */
const messageOverhead = 4 + 8 + 1 + 20;
const baseMessageBytes = 1152;
/** How often a transfer begins anew, when the peer has lost what it had or its representation changed. */
const mostAttempts = 3;

type Fetching = { readonly first: CoapResponse; readonly etag: Uint8Array | undefined; readonly body: BodyBuffer; szx: number };

export class OutgoingTransfer {
  readonly #parts: OutgoingParts;
  #request: OutgoingRequest;
  #answer: ((result: CoapResponse | RequestFailure) => void) | undefined;
  /** Ends what is under way of the request itself, and of the fetching. */
  #cancelRequest: (() => void) | undefined;
  #cancelFetch: (() => void) | undefined;
  #szx = 0;
  #sent = 0;
  #tag: CoapOption | undefined;
  #attempts = 1;
  /** Of the answer that is under way: what belongs to an older one is not looked at. */
  #generation = 0;
  #fetching: Fetching | undefined;

  constructor(parts: OutgoingParts, request: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void) {
    this.#parts = parts;
    this.#request = request;
    this.#answer = answer;
  }

  start(): void {
    const { peer } = this.#parts;
    const { payload, options } = this.#request;
    const room = peer.maxMessageBytes - messageOverhead - optionsLength(options);
    if (payload.length <= room && (peer.isReliable || payload.length <= 1024)) {
      this.#cancelRequest = peer.request(this.#request, (result) => this.#onAnswer(result));
      return;
    }
    this.#parts.counters.requests++;
    const usesBert = peer.isReliable && peer.maxMessageBytes > baseMessageBytes && room >= 1024;
    this.#szx = usesBert ? bertSzx : szxWithin(Math.min(this.#parts.options.blockBytes, room));
    this.#begin();
  }

  cancel(): void {
    this.#answer = undefined;
    this.#endFetch();
    this.#cancelRequest?.();
  }

  #begin(): void {
    this.#sent = 0;
    // RFC 9175 §3.5: so that blocks of an earlier attempt, or of a like request, do not get among these.
    this.#tag = { number: OptionNumber.requestTag, value: uintBytes(this.#parts.tag()) };
    this.#sendBlock();
  }

  #sendBlock(): void {
    const { peer } = this.#parts;
    const { payload, options } = this.#request;
    const size = blockBytes(this.#szx);
    const room = peer.maxMessageBytes - messageOverhead - optionsLength(options);
    const bytes = this.#szx === bertSzx ? Math.max(size, room - (room % size)) : size;
    const end = Math.min(payload.length, this.#sent + bytes);
    const block = { number: this.#sent / size, more: end < payload.length, szx: this.#szx };
    let own = withOption(withOption(options, blockOption(OptionNumber.block1, block)), this.#tag!);
    if (this.#sent === 0) own = withOption(own, uintOption(OptionNumber.size1, payload.length));
    const message = { ...this.#request, options: own, payload: payload.subarray(this.#sent, end) };
    this.#cancelRequest = peer.request(message, (result) => (block.more ? this.#onBlockAnswer(result, end) : this.#onAnswer(result)));
  }

  #onBlockAnswer(result: CoapResponse | RequestFailure, end: number): void {
    if (this.#answer === undefined) return;
    if ('failure' in result) return this.#deliver(result);
    const value = optionValue(result.options, OptionNumber.block1);
    const answered = value === undefined ? undefined : readBlock(value);
    const wantsSmaller = answered !== undefined && answered.szx < this.#szx;
    // RFC 7959 §2.9.3: too large, but perhaps not in smaller blocks.
    if (result.code === Code.requestEntityTooLarge && wantsSmaller && this.#sent === 0) {
      this.#szx = answered.szx;
      return this.#begin();
    }
    if (result.code === Code.requestEntityIncomplete && this.#attempts < mostAttempts) {
      this.#attempts++;
      return this.#begin();
    }
    // RFC 7959 §2.3: the outcome of this block alone, where a server does not wait for all.
    const goesOn = result.code === Code.continue || (result.code < Code.badRequest && answered !== undefined);
    if (!goesOn) return this.#onAnswer(result);
    if (wantsSmaller) this.#szx = answered.szx;
    this.#sent = end;
    this.#sendBlock();
  }

  #onAnswer(result: CoapResponse | RequestFailure): void {
    if (this.#answer === undefined) return;
    this.#endFetch();
    if ('failure' in result) return this.#deliver(result);
    const echo = result.code === Code.unauthorized ? optionValue(result.options, OptionNumber.echo) : undefined;
    if (echo !== undefined && !hasOption(this.#request.options, OptionNumber.echo)) {
      // RFC 9175 §2.3: it wants to know that the request is fresh, and is told so once.
      this.#request = { ...this.#request, options: withOption(this.#request.options, { number: OptionNumber.echo, value: echo }) };
      return this.start();
    }
    if (result.code === Code.requestEntityIncomplete && this.#tag !== undefined && this.#attempts < mostAttempts) {
      this.#attempts++;
      return this.#begin();
    }
    const value = optionValue(result.options, OptionNumber.block2);
    const block = value === undefined ? undefined : readBlock(value);
    if (block === undefined || (!block.more && block.number === 0)) return this.#deliver(whole(result, result.payload));
    const size = optionValue(result.options, OptionNumber.size2);
    if (block.number !== 0 || (size !== undefined && uintValue(size) > this.#parts.options.maxBodyBytes)) return this.#giveUp();
    this.#parts.counters.answers++;
    const etag = optionValue(result.options, OptionNumber.etag);
    this.#fetching = { first: result, etag, body: new BodyBuffer(), szx: block.szx };
    if (this.#append(this.#fetching, result.payload)) this.#fetchNext(this.#fetching);
  }

  #fetchNext(fetching: Fetching): void {
    const { code, options, payload, confirmable } = this.#request;
    const number = fetching.body.length / blockBytes(fetching.szx);
    const plain = withoutOption(withoutOption(options, OptionNumber.observe), OptionNumber.etag);
    const block = blockOption(OptionNumber.block2, { number, more: false, szx: fetching.szx });
    const own = withOption(this.#tag === undefined ? plain : withOption(plain, this.#tag), block);
    // RFC 8132 §2: what a FETCH asks for is in its body. One that took blocks itself is known by its tag.
    const body = code === Code.fetch && this.#tag === undefined ? payload : noBytes;
    const generation = this.#generation;
    this.#cancelFetch = this.#parts.peer.request({ code, options: own, payload: body, confirmable }, (result) => {
      if (generation === this.#generation && this.#answer !== undefined) this.#onFetched(fetching, result);
    });
  }

  #onFetched(fetching: Fetching, result: CoapResponse | RequestFailure): void {
    if ('failure' in result) {
      this.#endFetch();
      // The next notification may fare better.
      return this.#isObservation ? this.#countFailure() : this.#deliver(result);
    }
    const value = optionValue(result.options, OptionNumber.block2);
    const block = value === undefined ? undefined : readBlock(value);
    const isNext = block !== undefined && blockOffset(block) === fetching.body.length && result.code === fetching.first.code;
    const isWhole = isNext && (!block.more || (result.payload.length > 0 && result.payload.length % blockBytes(block.szx) === 0));
    // RFC 7959 §2.4: blocks of different representations must not be put together.
    if (!isWhole || !sameTag(fetching.etag, optionValue(result.options, OptionNumber.etag))) return this.#giveUp();
    if (!this.#append(fetching, result.payload)) return;
    if (block.more) {
      fetching.szx = block.szx;
      return this.#fetchNext(fetching);
    }
    const body = fetching.body.bytes();
    this.#endFetch();
    this.#deliver(whole(fetching.first, body));
  }

  #append(fetching: Fetching, part: Uint8Array): boolean {
    const { counters, options } = this.#parts;
    const { body } = fetching;
    const more = body.capacityWith(part.length, options.maxBodyBytes) - body.capacity;
    const fits = body.length + part.length <= options.maxBodyBytes && counters.bytes + more <= options.maxTransferBytes;
    // A block that is not whole leaves no place for the next.
    if (!fits || (body.length === 0 && (part.length === 0 || part.length % blockBytes(fetching.szx) !== 0))) {
      this.#giveUp();
      return false;
    }
    body.append(part, options.maxBodyBytes);
    counters.bytes += more;
    return true;
  }

  #giveUp(): void {
    this.#endFetch();
    if (this.#isObservation) return this.#countFailure();
    const { code } = this.#request;
    const isSafe = code === Code.get || code === Code.fetch;
    if (isSafe && this.#attempts < mostAttempts) {
      this.#attempts++;
      if (this.#tag !== undefined) return this.#begin();
      this.#cancelRequest = this.#parts.peer.request(this.#request, (result) => this.#onAnswer(result));
      return;
    }
    this.#countFailure();
    this.#deliver({ failure: 'incomplete' });
  }

  #countFailure(): void {
    this.#parts.counters.failed++;
  }

  #endFetch(): void {
    this.#generation++;
    this.#parts.counters.bytes -= this.#fetching?.body.capacity ?? 0;
    this.#fetching = undefined;
    const cancel = this.#cancelFetch;
    this.#cancelFetch = undefined;
    cancel?.();
  }

  get #isObservation(): boolean {
    const value = optionValue(this.#request.options, OptionNumber.observe);
    return value !== undefined && uintValue(value) === 0;
  }

  #deliver(result: CoapResponse | RequestFailure): void {
    const answer = this.#answer;
    if (!this.#isObservation) this.#answer = undefined;
    answer?.(result);
  }
}

/** Without what is said of blocks. */
function whole(first: CoapResponse, payload: Uint8Array): CoapResponse {
  const { options } = first;
  if (!hasOption(options, OptionNumber.block1) && !hasOption(options, OptionNumber.block2)) return { ...first, payload };
  const blocks: readonly number[] = [OptionNumber.block1, OptionNumber.block2, OptionNumber.size1, OptionNumber.size2];
  return { code: first.code, options: options.filter(({ number }) => !blocks.includes(number)), payload };
}

function sameTag(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
