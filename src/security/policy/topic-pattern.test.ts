import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Principal } from '../security.ts';
import { compilePattern, coversFilter, matchesTopic, patternFault, touchesFilter } from './topic-pattern.ts';

const pump: Principal = { tenant: 'acme', id: 'pump', kind: 'device', roles: [] };

// The oracle is the definition: a pattern or filter is the set of topics it matches. With an alphabet that holds one level which
// no pattern mentions, and topics one level deeper than any pattern, enumeration decides covering and touching exactly. The empty topic counts as one,
// though nobody can publish to it: that makes `/#` touch `+`, which only errs towards refusing.
const mentioned = ['a', 'b', '', '$s', 'pump'];
const fresh = ['fresh', '$fresh'];
const maxLevels = 3;

const topics: string[][] = [];
function enumerate(prefix: string[]): void {
  if (prefix.length > 0) topics.push(prefix);
  if (prefix.length <= maxLevels) for (const level of [...mentioned, ...fresh]) enumerate([...prefix, level]);
}
enumerate([]);

/** Filter matching as the standard's prose has it, by recursion, sharing nothing with the code under test. */
function oracleMatches(filter: string[], topic: string[]): boolean {
  if (topic[0]!.startsWith('$') && (filter[0] === '+' || filter[0] === '#')) return false;
  const rest = (f: string[], t: string[]): boolean => {
    if (f.length === 0) return t.length === 0;
    if (f[0] === '#') return true;
    return t.length > 0 && (f[0] === '+' || f[0] === t[0]) && rest(f.slice(1), t.slice(1));
  };
  return rest(filter, topic);
}

const filterArbitrary = fc
  .tuple(fc.array(fc.constantFrom(...mentioned, '+', '+'), { maxLength: maxLevels }), fc.boolean())
  .map(([levels, open]) => (open ? [...levels.slice(0, maxLevels - 1), '#'] : levels))
  .filter((levels) => levels.join('/') !== '');

const withVariables = (levels: string[]): string => levels.map((level) => (level === 'pump' ? '${id}' : level)).join('/');

test('matching, covering and touching agree with enumeration', () => {
  fc.assert(
    fc.property(filterArbitrary, filterArbitrary, (patternLevels, filter) => {
      const pattern = compilePattern(withVariables(patternLevels));
      const inPattern = topics.map((topic) => oracleMatches(patternLevels, topic));
      const inFilter = topics.map((topic) => oracleMatches(filter, topic));
      assert.deepEqual(
        topics.map((topic) => matchesTopic(pattern, topic, pump)),
        inPattern,
        'topics matched',
      );
      assert.equal(
        coversFilter(pattern, filter, pump),
        inFilter.every((yes, i) => !yes || inPattern[i]),
        'covers',
      );
      assert.equal(
        touchesFilter(pattern, filter, pump),
        inFilter.some((yes, i) => yes && inPattern[i]),
        'touches',
      );
    }),
    { numRuns: 1000 },
  );
});

test('a variable is text inside one level, whatever the id holds', () => {
  const pattern = compilePattern('dev/x-${id}.${tenant}-y/#');
  const named = (id: string): Principal => ({ ...pump, id });
  assert.equal(matchesTopic(pattern, ['dev', 'x-pump.acme-y', 'z'], pump), true);
  assert.equal(matchesTopic(pattern, ['dev', 'x-other.acme-y', 'z'], pump), false);
  for (const id of ['+', '#', 'a/b', '${tenant}', '$&']) {
    const own = compilePattern('dev/${id}/#');
    assert.equal(matchesTopic(own, ['dev', 'someone', 'z'], named(id)), false);
    assert.equal(matchesTopic(own, ['dev', 'acme', 'z'], named(id)), false);
    assert.equal(coversFilter(own, ['dev', '+', 'z'], named(id)), false);
    assert.equal(coversFilter(own, ['dev', '#'], named(id)), false);
  }
});

test('faults of patterns are named', () => {
  for (const good of ['#', '+', 'a', '/', 'a//b', '+/a/#', '$SYS/#', '${tenant}/x', 'x-${id}', '$queue/jobs']) {
    assert.equal(patternFault(good), undefined, good);
  }
  const bad: [string, RegExp][] = [
    ['', /empty/],
    ['a/#/b', /last level/],
    ['a#', /whole levels/],
    ['a/b+', /whole levels/],
    ['a/${name}', /unknown variable/],
    ['a/${}', /unknown variable/],
    ['a/${label:x/b', /without its/],
    ['${a/b}', /unknown variable/],
    ['${\u0007}', /unknown variable \$\{\?\}/],
    ['a\0', /NUL/],
    ['$share/g/a', /shared/],
  ];
  for (const [text, fault] of bad) assert.match(patternFault(text) ?? 'none', fault, text);
});
