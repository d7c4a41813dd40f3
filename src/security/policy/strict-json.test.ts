import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readStrictJson } from './strict-json.ts';

test('reads what JSON.parse reads, unless a key stands twice', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 2), (value, indent) => {
      const read = readStrictJson(JSON.stringify(value, undefined, indent), 10);
      assert.ok(read.ok);
      assert.equal(JSON.stringify(read.value), JSON.stringify(value));
    }),
    { numRuns: 300 },
  );
});

test('refuses what JSON.parse refuses', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"',
    '\\',
    'true',
    'nul',
    'null',
    '-',
    '0',
    '01',
    '1e',
    '1.',
    '.5',
    ' ',
    '\n',
    '\u0001',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 9 }), (parts) => {
      const text = parts.join('');
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      const read = readStrictJson(text, 20);
      assert.equal(read.ok, isJson && !/"a".*"a"/.test(text) ? true : read.ok && isJson, text);
    }),
    { numRuns: 2000 },
  );
});

test('tells what is wrong, with line and column', () => {
  const cases: [string, string][] = [
    ['', 'ends too early (line 1, column 1)'],
    ['{"a": 1,\n "a": 2}', 'names the key "a" twice in one object (line 2, column 2)'],
    ['{"a":1}}', 'has something behind its end (line 1, column 8)'],
    ['[1 2]', 'is not JSON: a comma or ] must stand here (line 1, column 4)'],
    ['{a:1}', 'is not JSON: a key must stand here (line 1, column 2)'],
    ['{"a" 1}', 'is not JSON: a colon must stand here (line 1, column 6)'],
    ['"a', 'holds a text that does not end, or a character that must be escaped (line 1, column 1)'],
    ['"\\ud800"', 'holds a text with half a character (line 1, column 1)'],
    ['[[[1]]]', 'is nested deeper than 2 (line 1, column 3)'],
    ['[1,]', 'is not JSON (line 1, column 4)'],
  ];
  for (const [text, what] of cases) assert.deepEqual(readStrictJson(text, 2), { ok: false, what }, text);
  // The same key in another spelling is the same key.
  assert.equal(readStrictJson('{"a":1,"\\u0061":2}', 2).ok, false);
});

test('a key is nothing but a key', () => {
  const read = readStrictJson('{"__proto__": {"isAdmin": true}, "constructor": 1}', 4);
  assert.ok(read.ok);
  const value = read.value as Record<string, unknown>;
  assert.equal(Object.getPrototypeOf(value), null);
  assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
  assert.equal(value['isAdmin'], undefined);
  assert.equal(({} as Record<string, unknown>)['isAdmin'], undefined);
});

test('deep and long texts end in an answer, not in a crash', () => {
  assert.equal(readStrictJson('['.repeat(100_000), 8).ok, false);
  assert.equal(readStrictJson(`"${'a\\n'.repeat(100_000)}"`, 8).ok, true);
  assert.equal(readStrictJson(`${' '.repeat(200_000)}1`, 8).ok, true);
});
