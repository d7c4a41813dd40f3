// Two ends for the tests of this folder: a node that serves through BlockWise, and messages handed to it without a network.

import { ManualClock } from '../../../../base/clock.ts';
import { SeededRandom } from '../../../../base/random.ts';
import { Timers } from '../../../../base/timers.ts';
import { Code } from '../../codec/message.ts';
import { noBytes } from '../../codec/option-values.ts';
import { optionValue } from '../../codec/options.ts';
import { readBlock } from '../block-option.ts';
import { BlockWise } from '../block-wise.ts';

import type { CoapOption } from '../../codec/message.ts';
import type {
  CoapPeer,
  CoapRequest,
  CoapResponse,
  NotificationResult,
  OutgoingRequest,
  Reply,
  RequestFailure,
  RequestHandler,
} from '../../exchange.ts';
import type { Block } from '../block-option.ts';
import type { BlockOptions } from '../block-settings.ts';

export const roomy: BlockOptions = {
  blockBytes: 1024,
  maxBodyBytes: 1 << 20,
  maxTransfersPerPeer: 4,
  maxTransferPeerBytes: 4 << 20,
  maxTransferBytes: 16 << 20,
  transferTimeoutMs: 60_000,
  qBlock: true,
  maxPayloads: 10,
  nonTimeoutMs: 2000,
  nonReceiveTimeoutMs: 4000,
  nonMaxRetransmit: 4,
  nonPartialTimeoutMs: 247_000,
};

type PeerOptions = { readonly isReliable?: boolean; readonly maxMessageBytes?: number };

/** A peer as the transport shows it. What goes out to it is answered by `device`. */
export class FakePeer implements CoapPeer {
  readonly facts = { listener: 'test', remoteAddress: '192.0.2.1', remotePort: 5683, secure: false, peerCertificate: undefined };
  readonly isReliable: boolean;
  readonly isProven = true;
  maxMessageBytes: number;
  readonly sent: OutgoingRequest[] = [];
  device: (request: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void) => void = () => {};
  cancelled = 0;
  readonly #goneTasks: (() => void)[] = [];

  constructor({ isReliable = false, maxMessageBytes = 1152 }: PeerOptions = {}) {
    this.isReliable = isReliable;
    this.maxMessageBytes = maxMessageBytes;
  }

  request(request: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void): () => void {
    this.sent.push(request);
    this.device(request, answer);
    return () => this.cancelled++;
  }

  whenGone(task: () => void): void {
    this.#goneTasks.push(task);
  }

  close(): void {
    for (const task of this.#goneTasks.splice(0)) task();
  }
}

/** Collects what comes back for one request. */
export class FakeReply implements Reply {
  readonly responses: CoapResponse[] = [];
  readonly notifications: CoapResponse[] = [];
  done: ((result: NotificationResult) => void) | undefined;
  onGone: (() => void) | undefined;

  send(response: CoapResponse): void {
    this.responses.push(response);
  }

  sendConfirmed(response: CoapResponse, done: (result: NotificationResult) => void): void {
    this.responses.push(response);
    this.done = done;
  }

  notify(response: CoapResponse, _confirmable: boolean, done: (result: NotificationResult) => void): void {
    this.notifications.push(response);
    done('acknowledged');
  }
}

export class BlockWorld {
  readonly clock = new ManualClock();
  readonly timers = new Timers();
  /** What came to the resources. */
  readonly requests: CoapRequest[] = [];
  readonly layer: BlockWise;
  answer: RequestHandler['handle'] = (_request, reply) => reply.send({ code: Code.changed, options: [], payload: noBytes });

  constructor(options: Partial<BlockOptions> = {}) {
    const next: RequestHandler = {
      handle: (request, reply) => {
        this.requests.push(request);
        this.answer(request, reply);
      },
    };
    this.layer = new BlockWise({
      next,
      options: { ...roomy, ...options },
      clock: this.clock,
      timers: this.timers,
      random: new SeededRandom(9),
    });
  }

  pass(ms: number): void {
    this.clock.advance(ms);
    this.timers.advance(this.clock.monotonicMs());
  }

  send(
    peer: CoapPeer,
    code: number,
    options: readonly CoapOption[],
    payload: Uint8Array = noBytes,
    more: Partial<CoapRequest> = {},
  ): FakeReply {
    const reply = new FakeReply();
    const sorted = [...options].sort((a, b) => a.number - b.number);
    const message = { code, token: noBytes, options: sorted, payload };
    this.layer.handle({ message, peer, confirmable: true, isMulticast: false, ...more }, reply);
    return reply;
  }

  /** Of the sample with that name, and label if it has one. */
  metric(name: string, event?: string): number {
    for (const sample of this.layer.metrics()) {
      if (sample.name === `heliograph_coap_${name}` && sample.labels?.['event'] === event) return sample.value as number;
    }
    throw new Error(`no metric ${name}`);
  }
}

/** The block that a message says it is. */
export function blockOf(message: { readonly options: readonly CoapOption[] }, option: number): Block | undefined {
  const value = optionValue(message.options, option);
  return value === undefined ? undefined : readBlock(value);
}

/** Bytes that repeat nowhere soon. */
export function body(length: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 16);
}
