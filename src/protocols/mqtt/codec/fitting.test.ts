// Diagnostics are left out when the packet would be larger than its receiver allows.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Packet, writePacket } from './any-packet.ts';
import type { Side } from './packets.ts';
import { ReasonCode } from './reason-codes.ts';
import { readStream } from './testing/read-stream.ts';
import { written } from './testing/written.ts';

const diagnostics = { reasonString: 'because', userProperties: [{ key: 'k', value: 'v'.repeat(200) }] };

const packets: readonly { packet: Packet; from: Side; clauses: string; keeps: object }[] = [
  {
    packet: { type: 'connack', sessionPresent: false, reason: ReasonCode.success, properties: { receiveMaximum: 5, ...diagnostics } },
    from: 'server',
    clauses: '[MQTT-3.2.2-19] [MQTT-3.2.2-20]',
    keeps: { receiveMaximum: 5 },
  },
  ...(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const).map((type) => ({
    packet: { type, packetId: 5, reason: ReasonCode.success, properties: diagnostics },
    from: 'server' as const,
    clauses: '[MQTT-3.4.2-2] [MQTT-3.4.2-3] and the same of PUBREC, PUBREL and PUBCOMP',
    keeps: {},
  })),
  {
    packet: { type: 'suback', packetId: 5, reasons: [0, 1], properties: diagnostics },
    from: 'server',
    clauses: '[MQTT-3.9.2-1] [MQTT-3.9.2-2]',
    keeps: {},
  },
  {
    packet: { type: 'unsuback', packetId: 5, reasons: [0, 0x11], properties: diagnostics },
    from: 'server',
    clauses: '[MQTT-3.11.2-1] [MQTT-3.11.2-2]',
    keeps: {},
  },
  {
    packet: { type: 'disconnect', reason: ReasonCode.serverMoved, properties: { serverReference: 'x', ...diagnostics } },
    from: 'server',
    clauses: '[MQTT-3.14.2-3] [MQTT-3.14.2-4]',
    keeps: { serverReference: 'x' },
  },
  {
    packet: { type: 'auth', reason: ReasonCode.continueAuthentication, properties: { authenticationMethod: 'M', ...diagnostics } },
    from: 'server',
    clauses: '[MQTT-3.15.2-2] [MQTT-3.15.2-3]',
    keeps: { authenticationMethod: 'M' },
  },
];

function sent(packet: Packet, maxPacketBytes: number): { written: boolean; bytes: Uint8Array } {
  let done = false;
  const bytes = written((output) => {
    done = writePacket(output, 5, packet, maxPacketBytes);
  });
  return { written: done, bytes };
}

function read(bytes: Uint8Array, from: Side, type: string): object | undefined {
  const result = readStream([bytes], { from, version: 5, first: type === 'connack' });
  assert.equal(result.error?.message, undefined);
  const { properties } = result.packets[0] as { properties?: object };
  return properties;
}

describe('a packet that must be small enough', () => {
  for (const { packet, from, clauses, keeps } of packets) {
    it(`${packet.type} loses user properties, then its reason string ${clauses}`, () => {
      const whole = sent(packet, Infinity);
      assert.deepEqual(read(whole.bytes, from, packet.type), { ...keeps, ...diagnostics });
      assert.deepEqual(sent(packet, whole.bytes.length), whole);

      const withReason = sent(packet, whole.bytes.length - 1);
      assert.deepEqual(read(withReason.bytes, from, packet.type), { ...keeps, reasonString: 'because' });

      const bare = sent(packet, withReason.bytes.length - 1);
      assert.ok(bare.written);
      const properties = read(bare.bytes, from, packet.type);
      assert.deepEqual(properties ?? {}, keeps);
    });

    it(`${packet.type} is never larger than allowed`, () => {
      const whole = sent(packet, Infinity).bytes.length;
      for (let limit = 6; limit <= whole; limit++) {
        const { written: done, bytes } = sent(packet, limit);
        assert.ok(bytes.length <= limit, `${bytes.length} > ${limit}`);
        assert.equal(done, bytes.length > 0);
      }
    });
  }

  it('is refused when it cannot be made small enough', () => {
    const { packet } = packets[0]!;
    assert.deepEqual(sent(packet, 5), { written: false, bytes: new Uint8Array(0) });
  });
});
