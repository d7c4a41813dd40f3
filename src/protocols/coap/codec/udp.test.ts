import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { anyMessage, ordinaryCodes } from './testing/any-message.ts';
import { decodeUdp, emptyMessage, encodeUdp, isCoap, messageIdOf, MessageType, typeOf, udpLength } from './udp.ts';

const anyType = fc.constantFrom(...Object.values(MessageType));
const anyId = fc.integer({ min: 0, max: 0xffff });

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

suite('messages over UDP', () => {
  test('are read back as they were written', () => {
    fc.assert(
      fc.property(anyType, anyId, anyMessage(ordinaryCodes), (type, messageId, message) => {
        const { code, token, options, payload } = message;
        const bytes = encodeUdp(type, messageId, code, token, options, payload);
        assert.ok(isCoap(bytes));
        assert.equal(bytes.length, udpLength(token.length, options, payload));
        assert.deepEqual(decodeUdp(bytes), { type, messageId, ...message });
      }),
    );
  });

  test('of any bytes are malformed, or are written as they came', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), (bytes) => {
        bytes[0] = 0x40 | (bytes[0]! & 0x3f);
        const message = decodeUdp(bytes);
        if (message === undefined) return;
        const { type, messageId, code, token, options, payload } = message;
        const again = code === 0 ? emptyMessage(type, messageId) : encodeUdp(type, messageId, code, token, options, payload);
        // Numbers have one encoding each: what is read is written in the same bytes.
        assert.equal(hex(again), hex(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test('cut at any byte are malformed, or shorter messages', () => {
    fc.assert(
      fc.property(anyMessage(ordinaryCodes), ({ code, token, options, payload }) => {
        const bytes = encodeUdp(0, 1, code, token, options, payload);
        for (let end = 4; end < bytes.length; end++) {
          const cut = decodeUdp(bytes.slice(0, end));
          if (cut === undefined) continue;
          assert.deepEqual(cut.token, token);
          assert.deepEqual(cut.options, options.slice(0, cut.options.length));
          assert.deepEqual(cut.payload, payload.subarray(0, cut.payload.length));
        }
      }),
      { numRuns: 30 },
    );
  });

  test('have options in ascending order, whatever order they were given in', () => {
    const [a, b, c] = [
      { number: 11, value: Uint8Array.of(1) },
      { number: 11, value: Uint8Array.of(2) },
      { number: 6, value: Uint8Array.of(3) },
    ];
    assert.deepEqual(decodeUdp(encodeUdp(0, 1, 1, new Uint8Array(0), [a!, b!, c!], new Uint8Array(0)))!.options, [c, a, b]);
  });

  // RFC 7252, Appendix A, figures 16 and 17.
  test('of the RFC', () => {
    const get = Buffer.from('40017d34bb74656d7065726174757265', 'hex');
    const request = decodeUdp(get)!;
    assert.deepEqual([request.type, request.code, request.messageId], [0, 1, 0x7d34]);
    assert.deepEqual(
      request.options.map(({ number, value }) => [number, Buffer.from(value).toString()]),
      [[11, 'temperature']],
    );
    const answer = decodeUdp(Buffer.from('60457d34ff32322e332043', 'hex'))!;
    assert.equal(Buffer.from(answer.payload).toString(), '22.3 C');
    assert.equal(hex(encodeUdp(2, 0x7d34, 0x45, new Uint8Array(0), [], answer.payload)), '60457d34ff32322e332043');
  });

  test('that are malformed', () => {
    const cases: Readonly<Record<string, string>> = {
      'empty with a token': '4100000161',
      'empty with bytes behind it': '40000001ff',
      'token length 15': '4f01000100',
      'token longer than the message': '48010001616263',
      'extended token without its length': '4d010001',
      'reserved class 1': '40200001',
      'reserved class 6': '40c00001',
      'reserved class 7': '40e10001',
      'marker without payload': '40010001ff',
      'delta 15': '40010001f0',
      'length 15': '400100010f',
      'delta without its byte': '40010001d0',
      'delta without its second byte': '40010001e001',
      'length without its byte': '400100010d',
      'value that is too short': '400100013461',
      'number above 65,535': '40010001e0fff3',
    };
    for (const [name, bytes] of Object.entries(cases)) assert.equal(decodeUdp(Buffer.from(bytes, 'hex')), undefined, name);
    for (const bytes of ['', '40', '400100', '00010001', '80010001', 'c0010001']) assert.equal(isCoap(Buffer.from(bytes, 'hex')), false);
  });

  test('show type and id without being read', () => {
    const bytes = emptyMessage(MessageType.reset, 0xabcd);
    assert.deepEqual([typeOf(bytes), messageIdOf(bytes)], [3, 0xabcd]);
  });
});
