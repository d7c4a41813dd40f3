import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { preparedText } from './prepared-text.ts';

test('the examples of RFC 4013 §3, but for the check of directions', () => {
  assert.equal(preparedText('I\u00adX'), 'IX');
  assert.equal(preparedText('user'), 'user');
  assert.equal(preparedText('USER'), 'USER');
  assert.equal(preparedText('\u00aa'), 'a');
  assert.equal(preparedText('\u2168'), 'IX');
  assert.equal(preparedText('\u0007'), undefined);
});

test('what cannot be typed on purpose is refused', () => {
  for (const bad of ['', '\u00ad', 'a\0', 'a\ue000', 'a\ufffd', 'a\u202eb', 'a\u2028', '\ud800', 'a\u{e0001}']) {
    assert.equal(preparedText(bad), undefined, JSON.stringify(bad));
  }
  assert.equal(preparedText('a\u00a0b\u3000c'), 'a b c');
});

test('what is prepared once does not change any more', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
      const once = preparedText(text);
      assert.ok(once === undefined || preparedText(once) === once);
    }),
  );
});
