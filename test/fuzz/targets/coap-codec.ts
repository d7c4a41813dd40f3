// Any bytes into the codec of CoAP. The first byte says by which framing they are read and how a stream is cut.

import assert from 'node:assert/strict';
import * as codec from '../../../src/protocols/coap/codec/index.ts';
import { datagramInWords, messageInWords } from '../../../src/protocols/coap/transport/datagram-words.ts';
import { coapDatagrams, coapStreams, coapWords } from '../coap-seeds.ts';
import type { Target } from '../target.ts';

const maxMessageBytes = 2048;

function run(input: Uint8Array): readonly string[] {
  if (input.length === 0) return [];
  const bytes = input.slice(1);
  const framing = input[0]! & 3;
  if (framing === 0) return datagram(bytes);
  return framing === 1 ? webSocket(bytes) : stream(bytes, 1 + (input[0]! >>> 2));
}

function datagram(bytes: Uint8Array): string[] {
  datagramInWords(bytes);
  if (!codec.isCoap(bytes)) return ['ignored'];
  const message = codec.decodeUdp(bytes);
  if (message === undefined) return ['malformed'];
  const { type, messageId, code, token, options, payload } = message;
  assert.equal(type, codec.typeOf(bytes));
  assert.equal(messageId, codec.messageIdOf(bytes));
  const again = code === 0 ? codec.emptyMessage(type, messageId) : codec.encodeUdp(type, messageId, code, token, options, payload);
  assert.deepEqual(again, bytes, 'a datagram is not the same after being written');
  return [`udp ${type}`, ...look(message)];
}

function webSocket(bytes: Uint8Array): string[] {
  const message = codec.decodeWebSocketMessage(bytes);
  if (message === undefined) return ['malformed'];
  const { code, token, options, payload } = message;
  assert.deepEqual(codec.encodeWebSocketMessage(code, token, options, payload), bytes);
  return look(message);
}

function stream(bytes: Uint8Array, pieceBytes: number): string[] {
  const whole = read(bytes, bytes.length + 1);
  const cut = read(bytes, pieceBytes);
  assert.deepEqual(cut, whole, 'messages or fault depend on how the stream is cut');
  for (const message of whole.messages) {
    const { code, token, options, payload } = message;
    const again = new Uint8Array(codec.streamLength(token.length, options, payload));
    assert.equal(codec.writeStream(again, 0, code, token, options, payload), again.length);
    assert.deepEqual(read(again, again.length), { messages: [message], fault: undefined });
  }
  return [whole.fault ?? 'no fault', ...whole.messages.flatMap(look)];
}

function read(bytes: Uint8Array, pieceBytes: number): { messages: codec.CoapMessage[]; fault: codec.StreamFault | undefined } {
  const messages: codec.CoapMessage[] = [];
  const reader = new codec.StreamReader(maxMessageBytes);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.slice(at, at + pieceBytes);
    const fault = reader.push(piece, { message: (message) => messages.push(message) > 0 });
    // The piece is only lent.
    piece.fill(0xaa);
    if (fault !== undefined) return { messages, fault };
    assert.ok(
      reader.bufferedBytes <= Math.max(16, Math.min(maxMessageBytes, 2 * (at + pieceBytes))),
      'more memory is held than was received',
    );
  }
  return { messages, fault: undefined };
}

/** What is asked of every message. */
function look(message: codec.CoapMessage): string[] {
  const { code, options } = message;
  const words = messageInWords(message);
  assert.ok(words.length > 0);
  let before = 0;
  for (const { number } of options) {
    assert.ok(number >= before && number <= 65_535);
    before = number;
  }
  const bad = codec.badCriticalOption(options, (number) => codec.optionFacts(number) !== undefined);
  assert.ok(bad === 0 || codec.isCritical(bad));
  const into = new Uint8Array(64);
  const length = codec.joinPath(options, 1, into);
  const segments = codec.pathSegments(options);
  if (length >= 0 && segments !== undefined) assert.equal(Buffer.from(into.subarray(0, length)).toString(), segments.slice(1).join('/'));
  return [codec.codeName(code), `bad ${codec.optionName(bad)}`, ...options.map(({ number }) => codec.optionName(number))];
}

export const target: Target = {
  name: 'coap-codec',
  properties: [
    'nothing throws, whatever comes',
    'a datagram that is read is written in the same bytes',
    'messages and faults of a stream do not depend on how it is cut',
    'a cut message holds no more memory than was received, twice over, and never more than the largest message',
    'what was read, written and read again is the same',
  ],
  covers: /\/src\/protocols\/coap\/(codec\/|transport\/datagram-words)/,
  maxBytes: 4096,
  slowMs: 200,
  seeds: [
    ...coapDatagrams().map((bytes) => Uint8Array.of(0, ...bytes)),
    ...coapStreams().map((bytes) => Uint8Array.of(2 + 4 * 5, ...bytes)),
    Uint8Array.of(1, 4, 1, 1, 2, 3, 4, 0xb1, 0x74),
  ],
  dictionary: coapWords,
  run,
};
