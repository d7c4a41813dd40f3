// A peer to whom requests go out in blocks and whose answers come back whole (RFC 7959 as a client): for commands to devices.

import { OutgoingTransfer } from './outgoing-transfer.ts';

import type { WireFacts } from '../../protocol.ts';
import type { CoapPeer, CoapResponse, OutgoingRequest, RequestFailure } from '../exchange.ts';
import type { BlockOptions } from './block-settings.ts';

/** `bytes`: of answers that are not complete, of all peers. */
export type BlockPeerCounters = { requests: number; answers: number; failed: number; bytes: number };

export class BlockPeer implements CoapPeer {
  readonly #under: CoapPeer;
  readonly #options: BlockOptions;
  readonly #counters: BlockPeerCounters;
  /** Distinguishes transfers of one peer (RFC 9175 §3.5.1). */
  #nextTag = 0;

  constructor(under: CoapPeer, options: BlockOptions, counters: BlockPeerCounters) {
    this.#under = under;
    this.#options = options;
    this.#counters = counters;
  }

  get facts(): WireFacts {
    return this.#under.facts;
  }

  get isReliable(): boolean {
    return this.#under.isReliable;
  }

  get isProven(): boolean {
    return this.#under.isProven;
  }

  get maxMessageBytes(): number {
    return this.#under.maxMessageBytes;
  }

  request(request: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void): () => void {
    const parts = { peer: this.#under, options: this.#options, counters: this.#counters, tag: () => ++this.#nextTag };
    const transfer = new OutgoingTransfer(parts, request, answer);
    transfer.start();
    return () => transfer.cancel();
  }

  whenGone(task: () => void): void {
    this.#under.whenGone(task);
  }

  close(): void {
    this.#under.close();
  }
}
