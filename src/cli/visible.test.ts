import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { tell, tellFacts, tellTable } from './answer-text.ts';
import { visible } from './visible.ts';

const evil = 'a\u001b[2J\u009b1m\u202eb\u2028c\ud800\r\n';
const harmless = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u;

function printed(t: TestContext, print: () => void): string {
  const write = t.mock.method(process.stdout, 'write', () => true);
  print();
  write.mock.restore();
  return write.mock.calls.map((call) => String(call.arguments[0])).join('');
}

test('what cannot be seen is written out; everything else stays', () => {
  assert.equal(visible(evil), 'a\\u{1b}[2J\\u{9b}1m\\u{202e}b\\u{2028}c\\u{d800}\\u{d}\\u{a}');
  assert.equal(visible('Zürich 泵 ✓ a b'), 'Zürich 泵 ✓ a b');
  assert.equal(visible('a\nb', '\n'), 'a\nb');
});

test('nothing that a peer chose reaches the terminal as it is', (t) => {
  const name = evil.trim();
  const table = printed(t, () => tellTable({}, [{ name }], [['client', (entry) => entry.name]]));
  const facts = printed(t, () => tellFacts({}, {}, [['client', name]]));
  const words = printed(t, () => tell({}, { status: 200, body: {} }, `Ended ${name}`));
  for (const text of [table, facts, words]) for (const line of text.split('\n')) assert.match(line, harmless);
});
