// Rules that hold for everything a server sends on one connection, checked on every packet of every test.

import assert from 'node:assert/strict';

import type { ClientPacket, ServerPacket } from './packet.ts';

type State = 'beforeConnack' | 'open' | 'ended';

export class Watch {
  #state: State = 'beforeConnack';
  #maximumPacketSize = Infinity;
  #receiveMaximum = 65_535;
  #topicAliasMaximum = 0;
  #problemInformation = true;
  readonly #aliases = new Map<number, string>();
  /** Identifiers of what the server published above QoS 0 and the client has not settled. */
  readonly #unsettled = new Set<number>();
  /** Identifiers of PUBRELs that belong to an earlier connection. */
  readonly #released = new Set<number>();

  /** The client sends. */
  sent(packet: ClientPacket): void {
    if (packet.type === 'connect') {
      const { maximumPacketSize, receiveMaximum, topicAliasMaximum, requestProblemInformation } = packet.properties ?? {};
      if (maximumPacketSize !== undefined && maximumPacketSize !== 0) this.#maximumPacketSize = maximumPacketSize as number;
      if (receiveMaximum !== undefined) this.#receiveMaximum = receiveMaximum as number;
      if (topicAliasMaximum !== undefined) this.#topicAliasMaximum = topicAliasMaximum as number;
      if (requestProblemInformation === 0) this.#problemInformation = false;
    } else if (packet.type === 'puback' || packet.type === 'pubcomp') {
      this.#settle(packet.id);
    } else if (packet.type === 'pubrec' && (packet.reason ?? 0) >= 0x80) {
      this.#settle(packet.id);
    }
  }

  /** The server sends. Returns the packet, its topic filled in from its alias. */
  received(packet: ServerPacket): ServerPacket {
    assert.ok(packet.bytes <= this.#maximumPacketSize, `a packet of ${packet.bytes} bytes is above the maximum [MQTT-3.1.2-24]`);
    assert.notEqual(this.#state, 'ended', `the server sent ${packet.type} after the end [MQTT-3.14.4-1]`);
    if (this.#state === 'beforeConnack') {
      assert.ok(packet.type === 'connack' || packet.type === 'auth', `the server sent ${packet.type} before CONNACK [MQTT-3.2.0-1]`);
      if (packet.type === 'connack') this.#state = packet.reason === 0 ? 'open' : 'ended';
      return packet;
    }
    assert.notEqual(packet.type, 'connack', 'the server sent a second CONNACK [MQTT-3.2.0-2]');
    if (packet.type === 'disconnect') this.#state = 'ended';
    if (!this.#problemInformation && packet.type !== 'publish' && packet.type !== 'disconnect') {
      const { reasonString, userProperty } = packet.properties;
      assert.ok(reasonString === undefined && userProperty === undefined, `problem information in ${packet.type} [MQTT-3.1.2-29]`);
    }
    if (packet.type === 'pubrel' && !this.#unsettled.has(packet.id!)) this.#released.add(packet.id!);
    return packet.type === 'publish' ? this.#publish(packet) : packet;
  }

  #publish(packet: ServerPacket): ServerPacket {
    if (packet.qos! > 0) {
      const known = this.#unsettled.has(packet.id!) || this.#released.has(packet.id!);
      assert.ok(!known, `identifier ${packet.id} is still in use [MQTT-2.2.1-4] [MQTT-4.4.0-1]`);
      this.#unsettled.add(packet.id!);
      assert.ok(this.#unsettled.size <= this.#receiveMaximum, `more than ${this.#receiveMaximum} unsettled [MQTT-3.3.4-9]`);
    }
    const alias = packet.properties.topicAlias as number | undefined;
    if (alias === undefined) {
      assert.notEqual(packet.topic, '', 'a PUBLISH without topic or alias [MQTT-4.7.3-1]');
      return packet;
    }
    assert.ok(alias >= 1 && alias <= this.#topicAliasMaximum, `topic alias ${alias} is not allowed [MQTT-3.1.2-26] [MQTT-3.1.2-27]`);
    if (packet.topic !== '') this.#aliases.set(alias, packet.topic!);
    const topic = this.#aliases.get(alias);
    assert.ok(topic !== undefined, `topic alias ${alias} was not set on this connection [MQTT-3.3.2-7]`);
    return { ...packet, topic };
  }

  #settle(id: number): void {
    this.#unsettled.delete(id);
    this.#released.delete(id);
  }
}
