import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isForOne, matchesPattern, patternFault } from './device-pattern.ts';

test('a star stands for any characters, also none', () => {
  const cases: [pattern: string, id: string, expected: boolean][] = [
    ['pump-7', 'pump-7', true],
    ['pump-7', 'pump-77', false],
    ['*', 'x', true],
    ['pump-*', 'pump-', true],
    ['pump-*', 'pump', false],
    ['*-7', 'pump-7', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'axxbxxc', true],
    ['a*b*c', 'axxcxxb', false],
    ['a*bc*c', 'abc', false],
    ['a**b', 'ab', true],
    ['p.mp', 'pump', false],
    ['*b*b', 'bxb', true],
  ];
  for (const [pattern, id, expected] of cases) assert.equal(matchesPattern(pattern, id), expected, `${pattern} ${id}`);
});

test('it agrees with a regular expression, also where that takes long', () => {
  const text = (alphabet: string[]) => fc.array(fc.constantFrom(...alphabet), { maxLength: 10 }).map((all) => all.join(''));
  fc.assert(
    fc.property(text(['a', 'b', '*']), text(['a', 'b']), (pattern, id) => {
      const expected = new RegExp(`^${pattern.replaceAll(/\*+/g, '.*')}$`).test(id);
      assert.equal(matchesPattern(pattern, id), expected);
    }),
    { numRuns: 2000 },
  );
  assert.equal(matchesPattern(`${'*a'.repeat(60)}*b`, 'a'.repeat(128)), false);
});

test('what cannot be part of an id cannot be part of a pattern', () => {
  for (const wrong of ['', 'a/b', 'a+', '#', '$x', 'x'.repeat(129)]) assert.ok(patternFault(wrong) !== undefined, wrong);
  for (const right of ['*', 'pump-*', 'a']) assert.equal(patternFault(right), undefined);
  assert.deepEqual(['a', 'a*'].map(isForOne), [true, false]);
});
