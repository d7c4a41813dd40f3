// Says things to one peer: every frame that leaves goes through here, so that it is counted, and shown to who follows the peer.

import type { Output } from '../../base/output.ts';
import {
  type AmqpOutcome,
  type DeliveryState,
  FrameWriter,
  type OutgoingTransfer,
  type Performative,
  PerformativeCode,
  type SaslFrame,
  uint32,
} from './codec/index.ts';
import type { AmqpServer } from './server.ts';
import { frameInWords } from './trace.ts';

/** Not a version of any trace: the peer is watched, or it is not known whether it is. */
const watchedNow = -1;

const codes: Readonly<Record<Performative['type'], number>> = PerformativeCode;
const codeNames: ReadonlyMap<number, string> = new Map(Object.entries(PerformativeCode).map(([name, code]) => [code, name]));
const saslCodes: Readonly<Record<SaslFrame['type'], number>> = {
  'sasl-mechanisms': 0x40,
  'sasl-init': 0x41,
  'sasl-challenge': 0x42,
  'sasl-response': 0x43,
  'sasl-outcome': 0x44,
};

export class PeerWriter {
  readonly output: Output;
  /** Empty until the peer has said it. */
  containerId = '';
  readonly #frames: FrameWriter;
  readonly #server: AmqpServer;
  #notWatchedAt = watchedNow;

  constructor(server: AmqpServer, output: Output) {
    this.#server = server;
    this.output = output;
    this.#frames = new FrameWriter(output, server.options.maxConnectFrameBytes);
  }

  /** What the peer takes, of a whole frame. */
  get maxFrameBytes(): number {
    return this.#frames.maxFrameSize;
  }

  set maxFrameBytes(bytes: number) {
    this.#frames.maxFrameSize = bytes;
  }

  protocolHeader(id: number): void {
    this.#frames.protocolHeader(id);
  }

  /** [AMQP 2.4.5] An empty frame: we are here. */
  alive(): void {
    this.#frames.empty();
    this.#server.counters.sent[0]!++;
  }

  sasl(frame: SaslFrame): void {
    this.#frames.sasl(frame);
    this.#server.counters.sent[saslCodes[frame.type]]!++;
  }

  /** Returns false when it is larger than the peer takes: then nothing was written. */
  performative(channel: number, performative: Performative): boolean {
    const before = this.watched ? this.output.pendingBytes : 0;
    if (this.#frames.performative(channel, performative) !== undefined) return false;
    this.#sent(codes[performative.type], 1, before);
    return true;
  }

  /** See FrameWriter.transfer. */
  transfer(channel: number, transfer: OutgoingTransfer, maxFrames: number): number {
    const before = this.watched ? this.output.pendingBytes : 0;
    const frames = this.#frames.transfer(channel, transfer, maxFrames);
    this.#sent(PerformativeCode.transfer, frames, before);
    return frames;
  }

  disposition(channel: number, receiver: boolean, first: number, last: number, settled: boolean, state: DeliveryState | undefined): void {
    const before = this.watched ? this.output.pendingBytes : 0;
    const fault = this.#frames.disposition(channel, receiver, first, last, settled, state);
    // What was done matters more than why: a peer that is told nothing waits for ever.
    if (fault !== undefined) this.#frames.disposition(channel, receiver, first, last, settled, state && bareState(state));
    this.#sent(PerformativeCode.disposition, 1, before);
  }

  /** Somebody follows this peer's frames. One comparison while nobody does. */
  get watched(): boolean {
    return this.#notWatchedAt !== this.#server.trace.version && this.#isWanted();
  }

  showReceived(type: number, channel: number, bytes: Uint8Array, start: number, end: number): void {
    this.#server.trace.packet(this.containerId, 'in', frameInWords(type, channel, bytes, start, end));
  }

  #isWanted(): boolean {
    const { trace } = this.#server;
    const wanted = this.containerId !== '' && trace.wants(this.containerId);
    this.#notWatchedAt = wanted ? watchedNow : trace.version;
    return wanted;
  }

  /** `before`: what was pending before, needed only when somebody watches. */
  #sent(code: number, frames: number, before: number): void {
    this.#server.counters.sent[code]! += frames;
    if (frames > 0 && this.watched) this.#show(this.output.pendingBytes - before, code);
  }

  /** Frames that stand in one piece at the end of what was written; of others only how long they are. */
  #show(bytes: number, code: number): void {
    const { buffer, position } = this.output;
    const { trace } = this.#server;
    if (bytes > position) {
      trace.packet(this.containerId, 'out', `${codeNames.get(code) ?? 'frame'} of ${bytes} bytes`);
      return;
    }
    for (let start = position - bytes; start < position;) {
      const end = start + uint32(buffer, start);
      const channel = (buffer[start + 6]! << 8) | buffer[start + 7]!;
      trace.packet(this.containerId, 'out', frameInWords(buffer[start + 5]!, channel, buffer, start + buffer[start + 4]! * 4, end));
      start = end;
    }
  }
}

/** A state that fits into every frame: without what a peer may write at any length. */
function bareState(state: DeliveryState): DeliveryState | undefined {
  switch (state.type) {
    case 'rejected':
      return { type: 'rejected' };
    case 'modified':
      return { ...state, messageAnnotations: undefined };
    case 'transactional-state':
      return { ...state, outcome: state.outcome && (bareState(state.outcome) as AmqpOutcome) };
    case 'unknown':
      return undefined;
    default:
      return state;
  }
}
