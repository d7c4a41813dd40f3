// A peer and a node with a link between that loses what it is told to lose. Datagrams are counted from 1, in both directions.

import { Code } from '../../codec/message.ts';
import { BlockWorld, FakePeer } from './block-world.ts';

import type { CoapOption } from '../../codec/message.ts';
import type { CoapRequest, CoapResponse, NotificationResult, Reply } from '../../exchange.ts';
import type { BlockOptions } from '../block-settings.ts';

type Done = (result: NotificationResult) => void;

/** `token`: of the request that it answers, counted from 1. */
export type Arrived = { readonly token: number; readonly response: CoapResponse };

export class QLink {
  readonly world: BlockWorld;
  readonly peer = new FakePeer();
  /** Confirmable messages are not acknowledged until `settle`. */
  holds = false;
  #lost = new Set<number>();
  #datagrams = 0;
  #tokens = 0;
  #arrived: Arrived[] = [];
  readonly #open = new Set<LinkReply>();
  #held: Done[] = [];

  constructor({ lost = [], ...options }: Partial<BlockOptions> & { readonly lost?: readonly number[] } = {}) {
    this.world = new BlockWorld(options);
    this.lose(lost);
  }

  lose(lost: readonly number[]): void {
    this.#lost = new Set(lost);
  }

  /** Requests whose answers the transport still waits for. */
  get open(): number {
    return this.#open.size;
  }

  send(code: number, options: readonly CoapOption[], payload: Uint8Array, more: Partial<CoapRequest> = {}): void {
    const token = ++this.#tokens;
    if (this.#isLost()) return;
    const reply = new LinkReply(this, token);
    this.#open.add(reply);
    const sorted = [...options].sort((a, b) => a.number - b.number);
    const message = { code, token: Uint8Array.of(token), options: sorted, payload };
    this.world.layer.handle({ message, peer: this.peer, confirmable: false, isMulticast: false, ...more }, reply);
  }

  /** What has come since the last call. */
  arrived(): Arrived[] {
    return this.#arrived.splice(0);
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 100) this.world.pass(Math.min(100, left));
  }

  /** The peer rejects the last answers. */
  reset(): void {
    for (const reply of this.#open) {
      this.#open.delete(reply);
      reply.isFinished = true;
      reply.onGone?.();
    }
  }

  settle(result: NotificationResult): void {
    for (const done of this.#held.splice(0)) done(result);
  }

  // --- for replies ---

  out(reply: LinkReply, response: CoapResponse, isLast: boolean, confirmable: boolean, done: Done | undefined): void {
    if (isLast) {
      reply.isFinished = true;
      this.#open.delete(reply);
    }
    if (response.code !== Code.empty && !this.#isLost()) this.#arrived.push({ token: reply.token, response });
    if (done === undefined) return;
    if (confirmable && this.holds) this.#held.push(done);
    else done(confirmable ? 'acknowledged' : 'sent');
  }

  #isLost(): boolean {
    return this.#lost.has(++this.#datagrams);
  }
}

class LinkReply implements Reply {
  readonly token: number;
  onGone: (() => void) | undefined;
  isFinished = false;
  readonly #link: QLink;

  constructor(link: QLink, token: number) {
    this.#link = link;
    this.token = token;
  }

  send(response: CoapResponse): void {
    if (!this.isFinished) this.#link.out(this, response, true, false, undefined);
  }

  sendConfirmed(response: CoapResponse, done: Done): void {
    if (this.isFinished) done('lost');
    else this.#link.out(this, response, true, true, done);
  }

  notify(response: CoapResponse, confirmable: boolean, done: Done): void {
    if (this.isFinished) done('lost');
    else this.#link.out(this, response, false, confirmable, done);
  }
}
