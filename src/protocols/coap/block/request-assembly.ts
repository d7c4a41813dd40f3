// Bodies of requests that come in blocks (RFC 7959 §2.5): put together in order, and handed on whole or not at all.

import { Code } from '../codec/message.ts';
import { uintOption, uintValue, textBytes, noBytes } from '../codec/option-values.ts';
import { OptionNumber, optionValue } from '../codec/options.ts';
import { bertSzx, blockBytes, blockOffset, blockOption, szxWithin } from './block-option.ts';
import { BodyBuffer } from './body-buffer.ts';
import { Held } from './held.ts';
import { assemblyKey } from './request-key.ts';

import type { Clock } from '../../../base/clock.ts';
import type { Timers } from '../../../base/timers.ts';
import type { CoapRequest, CoapResponse } from '../exchange.ts';
import type { Block } from './block-option.ts';
import type { BlockOptions } from './block-settings.ts';

export type AssemblyCounters = {
  started: number;
  completed: number;
  /** 4.08: a block is missing, or not the one that came before. */
  incomplete: number;
  /** 4.13 */
  tooLarge: number;
  /** 4.00 */
  malformed: number;
};

/** The whole body with the last block, or what is to be answered instead. */
export type Assembled = { readonly body: Uint8Array } | { readonly answer: CoapResponse };

export class RequestAssembly {
  readonly counters: AssemblyCounters = { started: 0, completed: 0, incomplete: 0, tooLarge: 0, malformed: 0 };
  readonly held: Held<BodyBuffer>;
  readonly #options: BlockOptions;

  constructor(options: BlockOptions, clock: Clock, timers: Timers) {
    this.#options = options;
    // A stranger must not be able to stop transfers that have begun.
    this.held = new Held(options, 'refuse', clock, timers);
  }

  /** `block` is the Block1 option of the request. */
  take(request: CoapRequest, block: Block): Assembled {
    const { payload, options } = request.message;
    const problem = malformed(block, payload.length, request.peer.isReliable);
    if (problem !== undefined) {
      this.counters.malformed++;
      return refusal(Code.badRequest, problem);
    }
    const offset = blockOffset(block);
    const announced = optionValue(options, OptionNumber.size1);
    const { maxBodyBytes } = this.#options;
    if (offset + payload.length > maxBodyBytes || (announced !== undefined && uintValue(announced) > maxBodyBytes)) {
      this.counters.tooLarge++;
      if (offset > 0 || this.held.size > 0) this.held.delete(request.peer, assemblyKey(request));
      // RFC 7959 §2.9.3. No Block1: that would say that smaller blocks may do.
      return { answer: { code: Code.requestEntityTooLarge, options: [uintOption(OptionNumber.size1, maxBodyBytes)], payload: noBytes } };
    }
    // The only block there is needs no memory; it ends what the same request had begun.
    if (block.number === 0 && !block.more) {
      if (this.held.size > 0) this.held.delete(request.peer, assemblyKey(request));
      return { body: payload };
    }
    return this.#append(request, assemblyKey(request), block, offset);
  }

  #append(request: CoapRequest, key: string, block: Block, offset: number): Assembled {
    const { peer, message } = request;
    const { payload } = message;
    const { maxBodyBytes } = this.#options;
    let buffer = this.held.get(peer, key);
    if (buffer !== undefined && offset < buffer.length) {
      // It was sent again: a datagram may come twice. What differs is of another body.
      if (block.more && buffer.holds(offset, payload)) return this.#goOn(block, offset, offset + payload.length === buffer.length);
      if (offset > 0) return this.#incomplete(request, key);
      // RFC 7959 §2.5: the first block begins anew.
      this.held.delete(peer, key);
      buffer = undefined;
    }
    if (offset !== (buffer?.length ?? 0)) return this.#incomplete(request, key);
    const isNew = buffer === undefined;
    buffer ??= new BodyBuffer();
    const bytes = buffer.capacityWith(payload.length, maxBodyBytes);
    if (!(isNew ? this.held.put(peer, key, buffer, bytes) : this.held.touch(peer, key, bytes))) {
      return { answer: { code: Code.serviceUnavailable, options: [uintOption(OptionNumber.maxAge, 5)], payload: noBytes } };
    }
    if (isNew) this.counters.started++;
    buffer.append(payload, maxBodyBytes);
    if (block.more) return this.#goOn(block, offset, true);
    this.held.delete(peer, key);
    this.counters.completed++;
    return { body: buffer.bytes() };
  }

  /** RFC 7959 §2.9.1; with a smaller size in the first answer when we want smaller blocks (§2.5). */
  #goOn(block: Block, offset: number, mayShrink: boolean): Assembled {
    const { blockBytes: preferred } = this.#options;
    const shrinks = mayShrink && offset === 0 && block.szx !== bertSzx && blockBytes(block.szx) > preferred;
    const answered = shrinks ? { ...block, szx: szxWithin(preferred) } : block;
    return { answer: { code: Code.continue, options: [blockOption(OptionNumber.block1, answered)], payload: noBytes } };
  }

  #incomplete(request: CoapRequest, key: string): Assembled {
    this.held.delete(request.peer, key);
    this.counters.incomplete++;
    return refusal(Code.requestEntityIncomplete, 'blocks are missing');
  }
}

/** What is wrong with a block in itself; undefined: nothing. */
function malformed(block: Block, length: number, isReliable: boolean): string | undefined {
  if (block.szx === bertSzx) {
    // RFC 7959 §2.2: reserved over UDP.
    if (!isReliable) return 'block size 7';
    // RFC 8323 §6: a multiple of 1024 bytes, but for the last.
    return block.more && (length === 0 || length % 1024 !== 0) ? 'not whole blocks' : undefined;
  }
  const size = blockBytes(block.szx);
  if (block.more) return length === size ? undefined : 'not a whole block';
  return length <= size ? undefined : 'more than a block';
}

function refusal(code: number, diagnostic: string): Assembled {
  return { answer: { code, options: [], payload: textBytes(diagnostic) } };
}
