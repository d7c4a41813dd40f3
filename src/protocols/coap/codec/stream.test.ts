import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { CoapMessage } from './message.ts';
import { decodeWebSocketMessage, encodeWebSocketMessage, type StreamFault, StreamReader, streamLength, writeStream } from './stream.ts';
import { anyMessage } from './testing/any-message.ts';

const anyCode = fc.integer({ min: 0, max: 255 });

function written({ code, token, options, payload }: CoapMessage): Uint8Array {
  const bytes = new Uint8Array(streamLength(token.length, options, payload));
  assert.equal(writeStream(bytes, 0, code, token, options, payload), bytes.length);
  return bytes;
}

function read(
  bytes: Uint8Array,
  pieceBytes: number,
  maxMessageBytes = 10_000,
): { messages: CoapMessage[]; fault: StreamFault | undefined } {
  const messages: CoapMessage[] = [];
  const reader = new StreamReader(maxMessageBytes);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = Buffer.from(bytes.subarray(at, at + pieceBytes));
    const fault = reader.push(piece, { message: (message) => messages.push(message) > 0 });
    // It is only lent.
    piece.fill(0xee);
    if (fault !== undefined) return { messages, fault };
    assert.ok(reader.bufferedBytes <= Math.max(16, 2 * (at + pieceBytes)), `${reader.bufferedBytes} bytes are held`);
    assert.ok(reader.bufferedBytes <= maxMessageBytes);
  }
  return { messages, fault: undefined };
}

suite('messages over a stream', () => {
  test('are read back as they were written, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(anyMessage(anyCode), { maxLength: 5 }), fc.integer({ min: 1, max: 40 }), (messages, pieceBytes) => {
        const stream = Buffer.concat(messages.map(written));
        assert.deepEqual(read(stream, pieceBytes), { messages, fault: undefined });
        assert.deepEqual(read(stream, stream.length + 1), { messages, fault: undefined });
      }),
    );
  });

  test('of any bytes give the same messages and fault, however they are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 1, max: 9 }), (bytes, pieceBytes) => {
        assert.deepEqual(read(bytes, pieceBytes), read(bytes, bytes.length + 1));
      }),
      { numRuns: 500 },
    );
  });

  test('use each form of the length', () => {
    for (const [payloadBytes, head] of [
      [0, 0x00],
      [11, 0xc0],
      [12, 0xd0],
      [267, 0xd0],
      [268, 0xe0],
      [65_803, 0xe0],
      [65_804, 0xf0],
      [70_000, 0xf0],
    ] as const) {
      const message = { code: 0x45, token: new Uint8Array(0), options: [], payload: new Uint8Array(payloadBytes).fill(1) };
      const bytes = written(message);
      assert.equal(bytes[0], head, String(payloadBytes));
      assert.deepEqual(read(bytes, 1000, 100_000), { messages: [message], fault: undefined });
    }
  });

  test('larger than allowed are a fault as soon as that is known', () => {
    const bytes = written({ code: 2, token: new Uint8Array(0), options: [], payload: new Uint8Array(200) });
    assert.equal(read(bytes, 1, bytes.length).fault, undefined);
    assert.equal(read(bytes.subarray(0, 3), 1, bytes.length - 1).fault, 'message too large');
    assert.equal(read(Buffer.from('f0ffffffff01', 'hex'), 6).fault, 'message too large');
  });

  test('with a reserved token length are a fault', () => {
    assert.equal(read(Uint8Array.of(0x0f, 1), 1).fault, 'malformed message');
  });
});

suite('messages over WebSocket', () => {
  test('are read back as they were written', () => {
    fc.assert(
      fc.property(anyMessage(anyCode), (message) => {
        const { code, token, options, payload } = message;
        const bytes = encodeWebSocketMessage(code, token, options, payload);
        assert.deepEqual(decodeWebSocketMessage(bytes), message);
        for (let end = 0; end < bytes.length; end++) decodeWebSocketMessage(bytes.slice(0, end));
      }),
      { numRuns: 50 },
    );
  });

  test('have no length of their own', () => {
    assert.equal(decodeWebSocketMessage(Uint8Array.of(0x10, 1, 0)), undefined);
    assert.equal(decodeWebSocketMessage(Uint8Array.of(0)), undefined);
  });
});
