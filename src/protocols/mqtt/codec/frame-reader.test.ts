import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { DecodeError } from './decode-error.ts';
import { firstBytesFrom, firstBytesOfConnect } from './first-bytes.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { ReasonCode } from './reason-codes.ts';
import { variableByteInteger } from './testing/wire.ts';

const publish = 0x30;
const pingreq = 0xc0;

class Collector implements FrameSink {
  readonly frames: { firstByte: number; body: Uint8Array; buffer: ArrayBufferLike }[] = [];
  stopAfter = Infinity;

  packet(firstByte: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.frames.push({ firstByte, body: new Uint8Array(bytes.subarray(start, end)), buffer: bytes.buffer });
    return this.frames.length < this.stopAfter;
  }
}

function reader(maxPacketBytes: number, version: 3 | 4 | 5 = 4): FrameReader {
  return new FrameReader(firstBytesFrom('client', version), maxPacketBytes);
}

function frame(firstByte: number, body: Uint8Array): Uint8Array {
  return Uint8Array.of(firstByte, ...variableByteInteger(body.length), ...body);
}

function pushAll(into: FrameReader, pieces: Iterable<Uint8Array>, sink: FrameSink): DecodeError | undefined {
  for (const piece of pieces) {
    const error = into.push(piece, sink);
    if (error !== undefined) return error;
  }
  return undefined;
}

describe('FrameReader', () => {
  it('hands whole packets on where they lie', () => {
    const sink = new Collector();
    const chunk = Uint8Array.of(...frame(publish, new Uint8Array(5)), ...frame(pingreq, new Uint8Array(0)));
    const frames = reader(100);
    assert.equal(frames.push(chunk, sink), undefined);
    assert.deepEqual(
      sink.frames.map(({ firstByte }) => firstByte),
      [publish, pingreq],
    );
    assert.ok(sink.frames.every(({ buffer }) => buffer === chunk.buffer));
    assert.equal(frames.bufferedBytes, 0);
  });

  it('gives the same packets however the stream is cut', () => {
    const lengths = fc.oneof({ weight: 5, arbitrary: fc.nat(200) }, fc.constantFrom(127, 128, 16_383, 16_384, 20_000));
    fc.assert(
      fc.property(fc.array(lengths, { maxLength: 6 }), fc.infiniteStream(fc.integer({ min: 1, max: 9_000 })), (sizes, cuts) => {
        const bodies = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
        const stream = new Uint8Array(Buffer.concat(bodies.map((body) => frame(publish, body))));
        const sink = new Collector();
        const frames = reader(30_000);
        for (let at = 0; at < stream.length;) {
          const end = at + cuts.next().value!;
          // A copy that is spoilt afterwards: nothing of it may be kept.
          const piece = stream.slice(at, end);
          assert.equal(frames.push(piece, sink), undefined);
          piece.fill(0xee);
          at = end;
        }
        assert.deepEqual(
          sink.frames.map(({ body }) => body),
          bodies,
        );
        assert.equal(frames.bufferedBytes, 0);
      }),
      { numRuns: 60 },
    );
  });

  it('stops when the sink says so, in a whole and in a cut packet', () => {
    const sink = new Collector();
    sink.stopAfter = 1;
    const pings = Uint8Array.of(pingreq, 0, pingreq, 0);
    assert.equal(reader(100).push(pings, sink), undefined);
    assert.equal(sink.frames.length, 1);

    const second = new Collector();
    second.stopAfter = 1;
    const frames = reader(100);
    pushAll(frames, [Uint8Array.of(publish, 2, 0), Uint8Array.of(0, pingreq, 0)], second);
    assert.equal(second.frames.length, 1);
  });

  it('applies a new `accept` and limit from the next packet on', () => {
    const frames = new FrameReader(firstBytesOfConnect, 10);
    const seen: number[] = [];
    const sink: FrameSink = {
      packet(firstByte) {
        seen.push(firstByte);
        frames.accept = firstBytesFrom('client', 4);
        frames.maxPacketBytes = 1000;
        return true;
      },
    };
    const stream = Buffer.concat([frame(0x10, new Uint8Array(8)), frame(publish, new Uint8Array(500))]);
    assert.equal(frames.push(stream, sink), undefined);
    assert.deepEqual(seen, [0x10, publish]);
  });
});

describe('FrameReader, against a peer that misbehaves', () => {
  it('refuses a packet over the limit as soon as its length is known', () => {
    const limit = 1000;
    const largest = frame(publish, new Uint8Array(limit - 3));
    assert.equal(largest.length, limit);
    const sink = new Collector();
    assert.equal(reader(limit).push(largest, sink), undefined);
    assert.equal(sink.frames.length, 1);

    const head = [publish, ...variableByteInteger(limit - 2)];
    for (const pieces of [[Uint8Array.from(head)], head.map((byte) => Uint8Array.of(byte))]) {
      assert.equal(pushAll(reader(limit), pieces, new Collector())?.reason, ReasonCode.packetTooLarge);
    }
    const whole = frame(publish, new Uint8Array(limit - 2));
    assert.equal(reader(limit).push(whole, new Collector())?.reason, ReasonCode.packetTooLarge);
  });

  it('refuses a first byte before the second has come', () => {
    assert.equal(reader(100).push(Uint8Array.of(0x36), new Collector())?.reason, ReasonCode.malformedPacket);
    assert.equal(reader(100).push(Uint8Array.of(0x20), new Collector())?.reason, ReasonCode.protocolError);
  });
});

describe('FrameReader, with packets that are cut', () => {
  it('holds memory for what has come, not for what is announced', () => {
    const frames = reader(268_435_460);
    const sink = new Collector();
    frames.push(Uint8Array.of(publish, 0xff, 0xff, 0xff, 0x7f), sink);
    assert.equal(frames.bufferedBytes, 0);
    frames.push(new Uint8Array(1), sink);
    assert.ok(frames.bufferedBytes <= 1024);
    frames.push(new Uint8Array(100_000), sink);
    assert.ok(frames.bufferedBytes <= 200_002);
  });

  it('never holds more than the packet, however large its pieces grow', () => {
    const body = 10_000;
    const frames = reader(20_000);
    const sink = new Collector();
    frames.push(Uint8Array.of(publish, ...variableByteInteger(body)), sink);
    for (let sent = 0; sent < body - 1; sent += 99) {
      frames.push(new Uint8Array(Math.min(99, body - 1 - sent)), sink);
      assert.ok(frames.bufferedBytes <= body);
    }
    frames.push(new Uint8Array(1), sink);
    assert.equal(sink.frames.length, 1);
    assert.equal(frames.bufferedBytes, 0);
  });

  it('copies a large packet in small pieces a bounded number of times', () => {
    const body = 4 * 1024 * 1024;
    const frames = reader(body + 10);
    const sink = new Collector();
    frames.push(Uint8Array.of(publish, ...variableByteInteger(body)), sink);
    let grown = 0;
    let before = 0;
    const piece = new Uint8Array(256);
    for (let sent = 0; sent < body; sent += piece.length) {
      frames.push(piece, sink);
      if (frames.bufferedBytes !== before) grown++;
      before = frames.bufferedBytes;
    }
    assert.equal(sink.frames.length, 1);
    assert.ok(grown < 20, `${grown} buffers`);
  });
});
