// What is written is read again as it was; what is random is refused without an exception; and mqtt-packet, a codec that we did not
// write, agrees in both directions.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodePacket, type Packet, writePacket } from './any-packet.ts';
import { DecodeError } from './decode-error.ts';
import type { Side, Version } from './packets.ts';
import { packetsFrom } from './testing/arbitrary-packets.ts';
import { plain } from './testing/plain.ts';
import { readStream } from './testing/read-stream.ts';
import { written } from './testing/written.ts';

const sides: readonly Side[] = ['client', 'server'];
const versions: readonly Version[] = [3, 4, 5];

function isFirst(packet: Packet): boolean {
  return packet.type === 'connect' || packet.type === 'connack';
}

describe('a packet that is written and read', () => {
  for (const from of sides) {
    for (const version of versions) {
      it(`is the same, from a ${from}, version ${version}`, () => {
        for (const packets of packetsFrom(from, version)) {
          fc.assert(
            fc.property(packets, fc.integer({ min: 1, max: 50 }), (packet, cut) => {
              const bytes = written((output) => assert.ok(writePacket(output, version, packet)));
              const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)].filter((piece) => piece.length > 0);
              const result = readStream(pieces, { from, version, first: isFirst(packet) });
              assert.equal(result.error?.message, undefined);
              assert.deepEqual(plain(result.packets), [plain(packet)]);
            }),
            { numRuns: 60 },
          );
        }
      });
    }
  }
});

describe('random bytes', () => {
  it('never throw in a stream', () => {
    const start = fc.constantFrom(0x10, 0x20, 0x30, 0x32, 0x3d, 0x40, 0x62, 0x82, 0x90, 0xa2, 0xb0, 0xe0, 0xf0);
    fc.assert(
      fc.property(
        fc.constantFrom(...sides),
        fc.constantFrom(...versions),
        fc.boolean(),
        start,
        fc.uint8Array({ maxLength: 80 }),
        (from, version, first, byte, body) => {
          const result = readStream([Uint8Array.of(byte, body.length, ...body)], { from, version, first, maxPacketBytes: 1000 });
          assert.ok(result.error === undefined || result.error instanceof DecodeError);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('never throw in a packet that was good, and never read outside it', () => {
    for (const from of sides) {
      for (const version of versions) {
        for (const packets of packetsFrom(from, version)) {
          fc.assert(
            fc.property(packets, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), (packet, changes) => {
              const bytes = written((output) => writePacket(output, version, packet));
              const start = bytes.length > 129 ? 3 : 2;
              for (const [at, value] of changes) if (bytes.length > start) bytes[start + (at % (bytes.length - start))] = value;
              const bare = decodePacket(bytes[0]!, bytes, start, bytes.length, version, from);
              // The same packet with other bytes around it must be read the same.
              const padded = new Uint8Array(bytes.length + 20).fill(0xff);
              padded.set(bytes, 10);
              const among = decodePacket(bytes[0]!, padded, 10 + start, 10 + bytes.length, version, from);
              assert.deepEqual(plain(among), plain(bare));
            }),
            { numRuns: 40 },
          );
        }
      }
    }
  });
});
