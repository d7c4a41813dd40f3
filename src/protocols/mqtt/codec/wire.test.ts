// Every wire case through the frame reader and the decoders, in every cut; and back through the encoders.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodePacket, type Packet, writePacket } from './any-packet.ts';
import { DecodeError } from './decode-error.ts';
import { badCases } from './testing/bad-wire-cases.ts';
import { plain } from './testing/plain.ts';
import { everyCut, readStream } from './testing/read-stream.ts';
import { type GoodCase, goodCases } from './testing/wire-cases.ts';
import { variableByteInteger, wire } from './testing/wire.ts';
import { written } from './testing/written.ts';

function isFirst(packet: Packet): boolean {
  return packet.type === 'connect' || packet.type === 'connack';
}

describe('good packets', () => {
  for (const { name, from, version, bytes, packet, accepted } of goodCases) {
    it(`reads ${name} in every cut`, () => {
      for (const pieces of everyCut(wire(bytes))) {
        const result = readStream(pieces, { from, version, first: isFirst(packet) });
        assert.equal(result.error, undefined);
        assert.deepEqual(result.packets.map(plain), [plain(packet)]);
      }
    });

    it(`finds nothing in a part of ${name}`, () => {
      const whole = wire(bytes);
      for (let length = 0; length < whole.length; length++) {
        const result = readStream([whole.subarray(0, length)], { from, version, first: isFirst(packet) });
        assert.deepEqual(result, { packets: [], error: undefined });
      }
    });

    if (accepted !== true) {
      it(`writes ${name}`, () => {
        assert.deepEqual(Buffer.from(written((output) => writePacket(output, version, packet))), Buffer.from(wire(bytes)));
      });
    }
  }

  it('covers every packet type', () => {
    assert.equal(new Set(goodCases.map(({ packet }) => packet.type)).size, 15);
  });

  it('reads packets that follow each other in one chunk', () => {
    const later = goodCases.filter(({ from, version, packet }) => from === 'client' && version === 5 && !isFirst(packet));
    const stream = Buffer.concat(later.map(({ bytes }) => wire(bytes)));
    for (const size of [1, 2, 3, 7, 16, stream.length]) {
      const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) => stream.subarray(i * size, (i + 1) * size));
      const result = readStream(pieces, { from: 'client', version: 5, first: false });
      assert.equal(result.error, undefined);
      assert.deepEqual(
        result.packets.map(plain),
        later.map(({ packet }) => plain(packet)),
      );
    }
  });
});

describe('bad packets', () => {
  for (const { name, from, version, when, bytes, reason, answer } of badCases) {
    it(`refuses ${name} in every cut`, () => {
      for (const pieces of everyCut(wire(bytes))) {
        const { packets, error } = readStream(pieces, { from, version, first: when === 'first' });
        assert.deepEqual(packets, []);
        assert.equal(error?.reason, reason, error?.message);
        if (when === 'first' && from === 'client') assert.equal(error.version, answer);
      }
    });
  }

  it('has a different name for every case', () => {
    assert.equal(new Set(badCases.map(({ name }) => name)).size, badCases.length);
  });
});

describe('packets that end too early', () => {
  for (const each of goodCases) {
    it(`refuses ${each.name} with its body cut anywhere, or reads what would be written so`, () => {
      for (const bytes of shortened(each)) checkShortened(each, bytes);
    });
  }
});

/** The packet with 0, 1, 2… bytes of its body and a length that fits. */
function* shortened({ bytes }: GoodCase): Generator<Uint8Array> {
  const whole = wire(bytes);
  let bodyStart = 1;
  while (whole[bodyStart]! > 0x7f) bodyStart++;
  bodyStart++;
  const body = whole.subarray(bodyStart);
  for (let length = 0; length < body.length; length++) {
    yield Uint8Array.of(whole[0]!, ...variableByteInteger(length), ...body.subarray(0, length));
  }
}

function checkShortened({ from, version, accepted }: GoodCase, bytes: Uint8Array): void {
  const lengthBytes = bytes.length > 129 ? 2 : 1;
  const result = decodePacket(bytes[0]!, bytes, 1 + lengthBytes, bytes.length, version, from);
  // Fields at the end that may be left out have two forms of the same meaning.
  if (result instanceof DecodeError || accepted === true || result.type === 'disconnect' || result.type === 'auth') return;
  const again = written((output) => writePacket(output, version, result));
  assert.deepEqual(Buffer.from(again), Buffer.from(bytes));
}
