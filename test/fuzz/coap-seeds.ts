// Good messages of CoAP to start from, and pieces that are hard to guess.

import * as coap from '../../src/protocols/coap/codec/index.ts';

const { text, uint } = {
  text: coap.textOption,
  uint: coap.uintOption,
};
const token = Uint8Array.of(1, 2, 3, 4);
const path = [text(11, 't'), text(11, 'a')];
const payload = coap.textBytes('{"v":21}');

type Parts = readonly [code: number, options: readonly coap.CoapOption[], payload: Uint8Array];

const parts: readonly Parts[] = [
  [coap.Code.get, path, coap.noBytes],
  [coap.Code.get, [uint(6, 0), ...path], coap.noBytes],
  [coap.Code.post, [...path, uint(12, 50), text(15, 'mid=7')], payload],
  [coap.Code.put, [...path, uint(12, 50), uint(27, 8 + 2), uint(60, 100)], payload],
  [coap.Code.get, [text(3, 'example.org'), uint(7, 5683), ...path, uint(17, 50), uint(23, 6), uint(258, 26)], coap.noBytes],
  [coap.Code.get, [...path, { number: 252, value: token }, { number: 292, value: token }], coap.noBytes],
  [coap.Code.fetch, [{ number: 9, value: Uint8Array.of(9, 1, 7) }], payload],
  [coap.Code.content, [{ number: 4, value: token }, uint(6, 9), uint(12, 50), uint(14, 60)], payload],
  [coap.Code.unauthorized, [{ number: 252, value: token }], coap.noBytes],
  [coap.Code.post, [...path, { number: 65_001, value: coap.noBytes }], payload],
];

const signals: readonly Parts[] = [
  [coap.Code.csm, [uint(2, 1152), coap.emptyOption(4), uint(6, 64)], coap.noBytes],
  [coap.Code.ping, [coap.emptyOption(2)], coap.noBytes],
  [coap.Code.release, [uint(4, 10)], coap.noBytes],
  [coap.Code.abort, [uint(2, 9)], coap.textBytes('bad')],
];

export function coapDatagrams(): Uint8Array[] {
  const empty = [coap.emptyMessage(0, 9), coap.emptyMessage(2, 1), coap.emptyMessage(3, 1)];
  return [...parts.map(([code, options, body], i) => coap.encodeUdp(i % 2 === 0 ? 0 : 1, i, code, token, options, body)), ...empty];
}

export function coapStreams(): Uint8Array[] {
  return [...signals, ...parts].map(([code, options, body]) => {
    const bytes = new Uint8Array(coap.streamLength(token.length, options, body));
    coap.writeStream(bytes, 0, code, token, options, body);
    return bytes;
  });
}

export const coapWords: readonly Uint8Array[] = [
  Uint8Array.of(0xff),
  Uint8Array.of(0xd1, 0xef),
  Uint8Array.of(0xe0, 0xfe, 0xf2),
  Uint8Array.of(0x60),
  Uint8Array.of(0x91),
  Uint8Array.of(0xb1, 0x74),
  Uint8Array.of(0x4d, 1, 0, 1, 0),
  Uint8Array.of(0x4e, 1, 0, 1, 0, 0),
  Uint8Array.of(0xf0, 0xff, 0xff, 0xff, 0xff),
  coap.textBytes('.well-known'),
];
