// Says things to one client: every packet that leaves goes through here, so that it is counted, watched by a trace where somebody asked
// for it, and never larger than the client allows [MQTT-3.1.2-24].

import type { Output } from '../../base/output.ts';
import type { Message } from '../../message/message.ts';
import {
  type AckType,
  type Auth,
  type Connack,
  type DisconnectProperties,
  PacketType,
  type Qos,
  type ReasonCode,
  type Version,
  writeAck,
  writeAckWithProperties,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writePingresp,
  writePublish,
  writeSuback,
  writeUnsuback,
} from './codec/index.ts';
import type { Counters } from './counters.ts';
import type { MqttServer } from './server.ts';
import type { Trace } from '../trace.ts';
import { packetInWords } from './trace.ts';

/** No packet of MQTT is larger. */
export const largestPacketBytes = 268_435_460;

/** Not a version of any trace: the client is watched. */
const watchedNow = -1;

export class ClientWriter {
  readonly output: Output;
  readonly version: Version;
  readonly clientId: string;
  /** Largest packet the client takes. */
  readonly maxPacketBytes: number;
  /** The client wants to be told in words what went wrong. */
  readonly #explains: boolean;
  readonly #counters: Counters;
  readonly #trace: Trace;
  #notWatchedAt = watchedNow;

  constructor(server: MqttServer, output: Output, version: Version, clientId: string, maxPacketBytes: number, explains: boolean) {
    this.#counters = server.counters;
    this.#trace = server.trace;
    this.output = output;
    this.version = version;
    this.clientId = clientId;
    this.maxPacketBytes = maxPacketBytes;
    this.#explains = explains;
  }

  /** Returns false when nothing was written: the client would not take it, or its version has no word for the reason. */
  connack(connack: Connack): boolean {
    const before = this.output.pendingBytes;
    return this.#sent(PacketType.connack, before, writeConnack(this.output, this.version, connack, this.maxPacketBytes));
  }

  /** `words`: what went wrong, for a client that wants to know. */
  ack(type: AckType, packetId: number, reason: ReasonCode, words?: string): void {
    const { output } = this;
    const before = this.watched ? output.pendingBytes : 0;
    // [MQTT-3.1.2-29]
    if (words !== undefined && this.#explains) {
      writeAckWithProperties(output, type, packetId, reason, { reasonString: words }, this.maxPacketBytes);
    } else {
      writeAck(output, this.version, type, packetId, reason);
    }
    this.#sent(type, before, true);
  }

  /** Returns false when the client would not take a packet of that size. */
  suback(packetId: number, reasons: readonly ReasonCode[]): boolean {
    const before = this.output.pendingBytes;
    return this.#sent(PacketType.suback, before, writeSuback(this.output, this.version, { packetId, reasons }, this.maxPacketBytes));
  }

  /** Returns false when the client would not take a packet of that size. */
  unsuback(packetId: number, reasons: readonly ReasonCode[]): boolean {
    const before = this.output.pendingBytes;
    return this.#sent(PacketType.unsuback, before, writeUnsuback(this.output, this.version, { packetId, reasons }, this.maxPacketBytes));
  }

  pingresp(): void {
    const before = this.output.pendingBytes;
    writePingresp(this.output);
    this.#sent(PacketType.pingresp, before, true);
  }

  /** Version 5 only: the others have no DISCONNECT of the server. */
  disconnect(reason: ReasonCode, words: string): void {
    const properties: DisconnectProperties | undefined = this.#explains ? { reasonString: words } : undefined;
    const before = this.output.pendingBytes;
    this.#sent(PacketType.disconnect, before, writeDisconnect(this.output, this.version, { reason, properties }, this.maxPacketBytes));
  }

  /** Version 5 only. Returns false when the client would not take a packet of that size. */
  auth(auth: Auth): boolean {
    const before = this.output.pendingBytes;
    return this.#sent(PacketType.auth, before, writeAuth(this.output, auth, this.maxPacketBytes));
  }

  /** The caller has seen to it that the client takes a packet of that size. See writePublish. */
  publish(
    message: Message,
    qos: Qos,
    packetId: number,
    dup: boolean,
    retain: boolean,
    topicAlias: number,
    sendTopic: boolean,
    subscriptionIds: readonly number[] | undefined,
    nowMs: number,
  ): void {
    const { output } = this;
    const before = this.watched ? output.pendingBytes : 0;
    writePublish(output, this.version, message, qos, packetId, dup, retain, topicAlias, sendTopic, subscriptionIds, nowMs);
    this.#sent(PacketType.publish, before, true);
  }

  /** Somebody follows this client's packets. One comparison while nobody does. */
  get watched(): boolean {
    return this.#notWatchedAt !== this.#trace.version && this.#isWanted();
  }

  /** Shows a packet that came to who follows the client. */
  showReceived(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    this.#trace.packet(this.clientId, 'in', packetInWords(this.version, 'client', firstByte, bytes, start, end));
  }

  #isWanted(): boolean {
    const wanted = this.#trace.wants(this.clientId);
    this.#notWatchedAt = wanted ? watchedNow : this.#trace.version;
    return wanted;
  }

  /** `before`: what was pending before the packet, needed only when somebody watches. */
  #sent(type: PacketType, before: number, written: boolean): boolean {
    if (!written) return false;
    this.#counters.sent[type]!++;
    if (this.watched) this.#showSent(before);
    return true;
  }

  /** The packet stands in one piece at the end of what was written. */
  #showSent(before: number): void {
    const { buffer, position } = this.output;
    const start = position - (this.output.pendingBytes - before);
    let body = start + 1;
    while (buffer[body]! > 0x7f) body++;
    this.#trace.packet(this.clientId, 'out', packetInWords(this.version, 'server', buffer[start]!, buffer, body + 1, position));
  }
}
