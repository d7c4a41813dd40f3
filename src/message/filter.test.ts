import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { filterProblem, hasWildcard, levelEnd, matches, parseFilter } from './filter.ts';
import { topicProblem } from './topic.ts';

const cases: readonly [filter: string, topic: string, matching: boolean][] = [
  // The examples of the specification, 4.7.1 and 4.7.2.
  ['sport/tennis/player1/#', 'sport/tennis/player1', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
  ['sport/#', 'sport', true],
  ['#', 'a', true],
  ['sport/tennis/+', 'sport/tennis/player1', true],
  ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
  ['sport/+', 'sport', false],
  ['sport/+', 'sport/', true],
  ['+/+', '/finance', true],
  ['/+', '/finance', true],
  ['+', '/finance', false],
  ['#', '$SYS/monitor', false],
  ['+/monitor/Clients', '$SYS/monitor/Clients', false],
  ['$SYS/#', '$SYS/monitor/Clients', true],
  ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
  ['$SYS/#', '$SYS', true],
  // Borders.
  ['a', 'a', true],
  ['a', 'A', false],
  ['a', 'a/', false],
  ['a/', 'a', false],
  ['a/', 'a/', true],
  ['a//b', 'a//b', true],
  ['a/+/b', 'a//b', true],
  ['/', '/', true],
  ['/', '//', false],
  ['+/+/', '//', true],
  ['a/$b/+', 'a/$b/c', true],
  ['a/+', 'a/$b', true],
  ['abc', 'ab', false],
  ['ab', 'abc', false],
  ['é/+', 'é/ü', true],
  ['a.*.>', 'a.b.c', false],
];

test('filters match as the specification says', () => {
  for (const [filter, topic, matching] of cases) {
    assert.equal(filterProblem(filter), undefined, filter);
    assert.equal(topicProblem(topic), undefined, topic);
    assert.equal(matches(filter, topic), matching, `${filter} ~ ${topic}`);
  }
});

/** The same in the plainest words: the oracle. */
function matchesByLevels(filter: string, topic: string): boolean {
  const f = filter.split('/');
  const t = topic.split('/');
  if (t[0]!.startsWith('$') && (f[0] === '+' || f[0] === '#')) return false;
  const many = f.at(-1) === '#';
  if (many) f.pop();
  if (many ? t.length < f.length : t.length !== f.length) return false;
  return f.every((level, i) => level === '+' || level === t[i]);
}

const level = fc.constantFrom('', 'a', 'b', 'ab', '$', '$a');
const topics = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 5 }), fc.boolean())
  .map(([levels, many]) => [...levels, ...(many ? ['#'] : [])].join('/'));

test('matches agrees with the comparison level by level', () => {
  fc.assert(
    fc.property(filters, topics, (filter, topic) => {
      fc.pre(filter !== '' && topic !== '');
      assert.equal(matches(filter, topic), matchesByLevels(filter, topic));
    }),
    { numRuns: 2000 },
  );
});

test('wildcards must stand alone, # at the end', () => {
  for (const good of ['#', '+', 'a/#', '+/#', '/#', '+/a/+', '/', '//', 'a b', '$share', '$x/#', '\ufeff']) {
    assert.equal(filterProblem(good), undefined, good);
  }
  for (const bad of ['', 'a#', '#/a', 'a/#/b', '#/', '##', 'a+', '+a', 'a/+b/c', '++', '+#', 'a\0', '\ud800']) {
    assert.equal(typeof filterProblem(bad), 'string', bad);
  }
});

test('the length of a filter counts in UTF-8, the depth in levels', () => {
  assert.equal(filterProblem('a'.repeat(65_535)), undefined);
  assert.match(filterProblem('a'.repeat(65_536))!, /65535 bytes/);
  assert.match(filterProblem('€'.repeat(21_846))!, /65535 bytes/);
  assert.equal(filterProblem('€'.repeat(21_845)), undefined);
  assert.equal(filterProblem('a/b/c', 3), undefined);
  assert.match(filterProblem('a/b/c', 2)!, /2 levels/);
  assert.match(filterProblem('/'.repeat(60_000), 128)!, /128 levels/);
});

test('shared subscriptions and queues are read from their addresses', () => {
  assert.deepEqual(parseFilter('a/+'), { kind: 'plain', filter: 'a/+' });
  assert.deepEqual(parseFilter('$share'), { kind: 'plain', filter: '$share' });
  assert.deepEqual(parseFilter('$shared/g/a'), { kind: 'plain', filter: '$shared/g/a' });
  assert.deepEqual(parseFilter('$share/g/a/#'), { kind: 'shared', group: 'g', filter: 'a/#' });
  assert.deepEqual(parseFilter('$share/g//a'), { kind: 'shared', group: 'g', filter: '/a' });
  assert.deepEqual(parseFilter('$share/g/a/b', 2), { kind: 'shared', group: 'g', filter: 'a/b' });
  assert.deepEqual(parseFilter('$queue/jobs'), { kind: 'queue', name: 'jobs' });
  assert.deepEqual(parseFilter('$queue/jobs/eu'), { kind: 'queue', name: 'jobs/eu' });
  const bad = ['$share/', '$share/g', '$share//a', '$share/g/', '$share/+/a', '$share/g#/a', '$share/g/a#', '$share/g/a\0', '$share/g\0/a'];
  for (const text of [...bad, '$queue/', '$queue/+', '$queue/a/#', '', `$share/g/${'a'.repeat(65_530)}`]) {
    assert.equal(parseFilter(text).kind, 'invalid', text.slice(0, 20));
  }
  assert.equal(parseFilter('$share/g/a/b/c', 2).kind, 'invalid');
});

test('wildcards and ends of levels are found', () => {
  assert.deepEqual(['a', 'a/+', '#', '+/a', 'a#b'].map(hasWildcard), [false, true, true, true, false]);
  assert.equal(levelEnd('ab/c', 0), 2);
  assert.equal(levelEnd('ab/c', 3), 4);
});
