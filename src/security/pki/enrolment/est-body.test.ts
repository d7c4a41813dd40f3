import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBody, encodeBody } from './est-body.ts';

test('bodies come back as they were, however their lines are broken', () => {
  const breaks = fc.constantFrom('', '\n', '\r\n', ' ', '\t');
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), breaks, fc.integer({ min: 1, max: 100 }), (bytes, end, width) => {
      const text = Buffer.from(bytes)
        .toString('base64')
        .replaceAll(new RegExp(`.{${width}}`, 'g'), `$&${end}`);
      assert.deepEqual(decodeBody(Buffer.from(text)), { der: Buffer.from(bytes) });
      assert.deepEqual(decodeBody(Buffer.from(encodeBody(bytes))), { der: Buffer.from(bytes) });
    }),
  );
  assert.ok(
    encodeBody(Buffer.alloc(300))
      .split('\n')
      .every((line) => line.length <= 76),
  );
});

test('what is not base64 says what it is', () => {
  const faults: Record<string, RegExp> = {
    '': /empty/,
    '\r\n\t ': /empty/,
    abc: /not base64/,
    'ab=c': /not base64/,
    '====': /not base64/,
    'a-_b': /not base64/,
    'YQ==YQ==': /not base64/,
    äöüß: /not base64/,
    '-----BEGIN CERTIFICATE REQUEST-----\nYQ==\n': /PEM/,
  };
  for (const [text, words] of Object.entries(faults)) {
    const found = decodeBody(Buffer.from(text));
    assert.match('fault' in found ? found.fault : 'taken', words, text);
  }
});
