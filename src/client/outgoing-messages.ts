// Messages on their way to the server: the client's half of the session for what it publishes. It outlives connections.

import { Output } from '../base/output.ts';
import {
  writePublishPacket,
  type Packet,
  type Publish,
  type PublishProperties,
  type Qos,
  type ReasonCode,
  type Version,
} from '../protocols/mqtt/codec/index.ts';
import { ClientError, saidByServer } from './client-error.ts';
import type { PacketIds } from './packet-ids.ts';

export type OutgoingMessage = {
  readonly topic: string;
  /** Text is sent as UTF-8. Bytes must not be changed until the message is settled. */
  readonly payload: Uint8Array | string;
  readonly qos?: Qos;
  readonly retain?: boolean;
  /** Version 5. */
  readonly properties?: PublishProperties;
};

/** What the connection at hand allows. */
export type OutgoingLimits = {
  /** Messages above QoS 0 without final acknowledgement. */
  readonly window: number;
  readonly maxPacketBytes: number;
  readonly maxQos: Qos;
  readonly retainAvailable: boolean;
};

export interface PublishLink {
  readonly writable: boolean;
  send(packet: Packet): boolean;
}

type Pending = {
  readonly publish: Publish;
  /** It was sent on some connection before: the server may have it. */
  wasSent: boolean;
  readonly resolve: (reason: ReasonCode) => void;
  readonly reject: (error: ClientError) => void;
};

/** What a topic, its length, an identifier and lengths take at most beside the properties. */
const maxHeadBytes = 16;
const utf8BytesPerUnit = 3;
/** Messages that were sent are taken off the front of the queue in one go. */
const compactAfter = 1024;

export class OutgoingMessages {
  readonly #version: Version;
  readonly #ids: PacketIds;
  readonly #maxWaiting: number;
  #link: PublishLink | undefined;
  #limits: OutgoingLimits | undefined;
  /** Not sent on this connection yet, oldest first, from `#waitingFrom` on. */
  #waiting: Pending[] = [];
  #waitingFrom = 0;
  /** Sent on this connection, or to be sent again: not acknowledged. In the order of their first sending. */
  readonly #published = new Map<number, Pending>();
  /** Those of QoS 2 that the server has (PUBREC): not released. In the order of their PUBRECs. */
  readonly #released = new Map<number, Pending>();

  constructor(version: Version, ids: PacketIds, maxWaiting: number) {
    this.#version = version;
    this.#ids = ids;
    this.#maxWaiting = maxWaiting;
  }

  /** Neither waiting nor unacknowledged. */
  get isIdle(): boolean {
    return this.#unsent === 0 && this.#inFlight === 0;
  }

  get #unsent(): number {
    return this.#waiting.length - this.#waitingFrom;
  }

  get #inFlight(): number {
    return this.#published.size + this.#released.size;
  }

  /** Resolves with the server's reason code: at QoS 0 once it is sent, at 1 with PUBACK, at 2 with PUBCOMP. */
  publish(message: OutgoingMessage): Promise<ReasonCode> {
    if (this.#unsent >= this.#maxWaiting) {
      return Promise.reject(new ClientError('queue-full', `${this.#maxWaiting} messages wait already to be sent`));
    }
    const { topic, payload, qos = 0, retain = false, properties } = message;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const promise = new Promise<ReasonCode>((resolve, reject) => {
      const publish = { topic, payload: bytes, qos, packetId: 0, dup: false, retain, properties };
      this.#waiting.push({ publish, wasSent: false, resolve, reject });
    });
    this.pump();
    return promise;
  }

  /** A connection is there. `sessionPresent`: the server remembers what this side remembers. */
  attach(link: PublishLink, limits: OutgoingLimits, sessionPresent: boolean): void {
    this.#link = link;
    this.#limits = limits;
    // In the order of their first sending [MQTT-4.6.0-1].
    const unsettled = [...this.#published.values(), ...this.#waiting.slice(this.#waitingFrom)];
    this.#published.clear();
    this.#waitingFrom = 0;
    this.#waiting = sessionPresent ? unsettled : this.#forget(unsettled);
    for (const packetId of this.#released.keys()) link.send({ type: 'pubrel', packetId, reason: 0 }); // [MQTT-4.4.0-1] [MQTT-4.6.0-4]
    this.pump();
  }

  detach(): void {
    this.#link = undefined;
  }

  /** The server has no session: what it has not acknowledged at QoS 1 is sent as new; of QoS 2 nobody knows [MQTT-3.2.2-5]. */
  #forget(unsettled: readonly Pending[]): Pending[] {
    const isLost = ({ publish, wasSent }: Pending): boolean => wasSent && publish.qos === 2;
    const lost = [...this.#released.values(), ...unsettled.filter((pending) => isLost(pending))];
    this.#released.clear();
    for (const { publish, reject } of lost) {
      this.#ids.free(publish.packetId);
      const what = `the server has forgotten the session; whether it got the message on ${publish.topic} is not known`;
      reject(new ClientError('session-lost', what));
    }
    const kept = unsettled.filter((pending) => !isLost(pending));
    for (const pending of kept) pending.wasSent = false;
    return kept;
  }

  /** Sends what may be sent. */
  pump(): void {
    const link = this.#link;
    while (link !== undefined && this.#link === link && this.#unsent > 0) {
      const pending = this.#waiting[this.#waitingFrom]!;
      if (!this.#maySend(pending, link)) return;
      this.#waitingFrom++;
      this.#send(pending, link);
      if (this.#waitingFrom >= compactAfter || this.#unsent === 0) {
        this.#waiting.splice(0, this.#waitingFrom);
        this.#waitingFrom = 0;
      }
    }
  }

  #maySend({ publish }: Pending, link: PublishLink): boolean {
    if (!link.writable) return false;
    if (publish.qos === 0) return true;
    // [MQTT-4.9.0-2] [MQTT-3.3.4-7]
    return this.#inFlight < this.#limits!.window && (publish.packetId !== 0 || !this.#ids.isFull);
  }

  #send(pending: Pending, link: PublishLink): void {
    const problem = this.#problemOf(pending.publish);
    if (problem !== undefined) {
      if (pending.publish.packetId !== 0) this.#ids.free(pending.publish.packetId);
      pending.reject(problem);
      return;
    }
    const isNew = pending.publish.packetId === 0;
    const { qos } = pending.publish;
    const packetId = qos === 0 ? 0 : isNew ? this.#ids.take() : pending.publish.packetId;
    const publish = { ...pending.publish, packetId, dup: pending.wasSent }; // [MQTT-3.3.1-1]
    link.send({ type: 'publish', ...publish });
    if (qos === 0) pending.resolve(0);
    else this.#published.set(packetId, { ...pending, publish, wasSent: true });
  }

  #problemOf({ topic, payload, qos, retain, properties, ...rest }: Publish): ClientError | undefined {
    const { maxQos, retainAvailable, maxPacketBytes } = this.#limits!;
    if (qos > maxQos) return new ClientError('unsupported', `the server offers no QoS ${qos}`); // [MQTT-3.2.2-11]
    if (retain && !retainAvailable) return new ClientError('unsupported', 'the server keeps no retained messages'); // [MQTT-3.2.2-14]
    if (properties === undefined && topic.length * utf8BytesPerUnit + payload.length + maxHeadBytes <= Math.min(maxPacketBytes, 0xffff)) {
      return undefined;
    }
    const size = this.#sizeOf({ topic, payload, qos, retain, properties, ...rest });
    if (size instanceof ClientError || size <= maxPacketBytes) return size instanceof ClientError ? size : undefined;
    return new ClientError('unsupported', `the message takes ${size} bytes; the server takes at most ${maxPacketBytes}`); // [MQTT-3.2.2-15]
  }

  #sizeOf(publish: Publish): number | ClientError {
    const output = new Output(() => {});
    try {
      writePublishPacket(output, this.#version, publish);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return new ClientError('unsupported', error.message);
    }
    return output.pendingBytes;
  }

  /** PUBACK. Returns false when nothing waits for it. */
  acknowledged(packetId: number, reason: ReasonCode, reasonString: string | undefined): boolean {
    const pending = this.#published.get(packetId);
    if (pending?.publish.qos !== 1) return false;
    this.#settle(this.#published, pending, reason, reasonString);
    return true;
  }

  /** PUBREC: from now on the server has it. Returns false when the server must be told that nobody knows it. */
  received(packetId: number, reason: ReasonCode, reasonString: string | undefined): boolean {
    const pending = this.#published.get(packetId);
    if (pending?.publish.qos !== 2) return this.#released.has(packetId);
    if (reason >= 0x80) {
      this.#settle(this.#published, pending, reason, reasonString);
      return true;
    }
    this.#published.delete(packetId);
    this.#released.set(packetId, pending);
    return true;
  }

  /** PUBCOMP. A reason of 0x92 means that the server had completed it before. */
  completed(packetId: number): boolean {
    const pending = this.#released.get(packetId);
    if (pending === undefined) return false;
    this.#settle(this.#released, pending, 0, undefined);
    return true;
  }

  #settle(from: Map<number, Pending>, pending: Pending, reason: ReasonCode, reasonString: string | undefined): void {
    const { packetId, topic } = pending.publish;
    from.delete(packetId);
    this.#ids.free(packetId);
    if (reason < 0x80) pending.resolve(reason);
    else pending.reject(saidByServer('rejected', `the server refuses the message on ${topic}`, reason, reasonString));
    this.pump();
  }

  /** Nothing will be sent any more. */
  fail(error: ClientError): void {
    const all = [...this.#released.values(), ...this.#published.values(), ...this.#waiting.slice(this.#waitingFrom)];
    this.#released.clear();
    this.#published.clear();
    this.#waiting = [];
    this.#waitingFrom = 0;
    for (const { reject } of all) reject(error);
  }
}
