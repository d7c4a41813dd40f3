import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatLinks, type Link, matchesQuery, parseLinks, pathTarget } from './links.ts';

test('links are read as RFC 6690 writes them', () => {
  const text =
    '</sensors>;ct=40;title="Sensor Index",</sensors/temp>;rt="temperature-c";if="sensor",<http://www.example.com/t123>;anchor="/sensors/temp";rel="describedby",</firmware/v2.1>;rt="firmware";sz=262144,</x>;obs';
  const links = parseLinks(text)!;
  assert.equal(links.length, 5);
  assert.deepEqual(links[4], { target: '/x', attributes: [{ name: 'obs' }] });
  assert.equal(formatLinks(links), text);
  assert.deepEqual(parseLinks(''), []);
});

test('what is written can be read', () => {
  const value = fc.string({ unit: 'grapheme', maxLength: 12 });
  const name = fc.constantFrom('rt', 'if', 'title', 'ct', 'x-1');
  const plain = { noNullPrototype: true };
  const link: fc.Arbitrary<Link> = fc.record(
    {
      target: fc.string({ maxLength: 12 }).filter((text) => !text.includes('>')),
      attributes: fc.array(fc.oneof(fc.record({ name, value }, plain), fc.record({ name }, plain)), { maxLength: 4 }),
    },
    plain,
  );
  fc.assert(
    fc.property(fc.array(link, { minLength: 1, maxLength: 4 }), (links) => assert.deepEqual(parseLinks(formatLinks(links)), links)),
  );
});

test('anything is read or refused, and soon', () => {
  const pieces = fc.array(fc.constantFrom('<', '>', ';', ',', '"', '\\', '=', ' ', 'a', '/', 'rt'), { maxLength: 60 });
  fc.assert(fc.property(pieces, (parts) => void parseLinks(parts.join(''))));
  assert.equal(parseLinks(`${'</a>;'.repeat(20_000)}"`), undefined);
});

test('queries choose by attribute, by one of its values, by a beginning', () => {
  const [link] = parseLinks('</a/b>;rt="one two";ct=40') as [Link];
  const matches = (...query: [string, string][]): boolean => matchesQuery(link, new Map(query));
  assert.equal(matches(['rt', 'two']), true);
  assert.equal(matches(['rt', 'tw*'], ['ct', '40']), true);
  assert.equal(matches(['rt', 'one two']), false);
  assert.equal(matches(['href', '/a*']), true);
  assert.equal(matches(['href', '/a']), false);
  assert.equal(matches(['if', '*']), false);
});

test('paths as targets', () => {
  assert.equal(pathTarget(['a b', 'c/d', 'é', 'x:y@z']), '/a%20b/c%2Fd/%C3%A9/x:y@z');
});
