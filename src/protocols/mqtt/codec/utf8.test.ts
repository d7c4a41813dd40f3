import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMqttText, isUtf8, textOf } from './utf8.ts';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What the platform's own strict decoder makes of it. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The bytes among others that must not be looked at. */
function framed(bytes: Uint8Array): { all: Uint8Array; start: number; end: number } {
  return { all: Uint8Array.of(0x00, 0xff, ...bytes, 0x80, 0x00), start: 2, end: 2 + bytes.length };
}

function check(bytes: Uint8Array): void {
  const text = decoded(bytes);
  const { all, start, end } = framed(bytes);
  assert.equal(isUtf8(all, start, end), text !== undefined);
  assert.equal(isMqttText(all, start, end), text !== undefined && !text.includes('\0'));
  if (text !== undefined) assert.equal(textOf(all, start, end), text);
}

describe('UTF-8', () => {
  it('agrees with the platform on every sequence of up to two bytes, and on the second and last byte of longer ones', () => {
    for (let first = 0; first < 256; first++) {
      check(Uint8Array.of(first));
      for (let second = 0; second < 256; second++) check(Uint8Array.of(first, second));
    }
    for (let lead = 0xe0; lead < 0xf8; lead++) {
      for (let second = 0; second < 256; second++) {
        check(Uint8Array.of(lead, second, 0x80));
        check(Uint8Array.of(lead, second, 0x80, 0xbf));
      }
      for (let last = 0; last < 256; last++) {
        check(Uint8Array.of(lead, 0x90, last));
        check(Uint8Array.of(lead, 0x90, 0x80, last));
      }
    }
  });

  it('agrees with the platform on random bytes and on damaged text', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), check));
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), fc.nat(), fc.nat(255), (text, at, byte) => {
        const bytes = new Uint8Array(Buffer.from(text));
        check(bytes);
        if (bytes.length > 0) bytes[at % bytes.length] = byte;
        check(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it('keeps a byte order mark and other characters of no meaning [MQTT-1.5.4-3]', () => {
    const text = '\ufeffa\ufeff\u0001\u007f\u0085\ufdd0\uffff';
    const bytes = new Uint8Array(Buffer.from(text));
    assert.ok(isMqttText(bytes, 0, bytes.length));
    assert.equal(textOf(bytes, 0, bytes.length), text);
  });

  it('allows U+0000 only in payloads', () => {
    assert.ok(isUtf8(Uint8Array.of(0x61, 0), 0, 2));
    assert.ok(!isMqttText(Uint8Array.of(0x61, 0), 0, 2));
    assert.ok(!isMqttText(Uint8Array.of(0xc3, 0xa4, 0), 0, 3));
  });
});
