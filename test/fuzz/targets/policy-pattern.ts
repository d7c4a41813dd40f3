// Any pattern, asked about any topic and filter, for principals with any groups and labels. The input is lines: pattern, topic,
// group, label, id.

import assert from 'node:assert/strict';
import { PatternTree } from '../../../src/security/policy/pattern-tree.ts';
import type { CompiledStatement } from '../../../src/security/policy/statement.ts';
import { compilePattern, coversFilter, matchesTopic, patternFault, touchesFilter } from '../../../src/security/policy/topic-pattern.ts';
import type { Principal } from '../../../src/security/security.ts';
import type { Target } from '../target.ts';

const text = new TextDecoder();
const bytes = (string: string): Uint8Array => new TextEncoder().encode(string);

const statement: CompiledStatement = {
  origin: { source: 'file', name: 'fuzz', index: 0 },
  effect: 'allow',
  actions: ['publish'],
  patterns: undefined,
  conditions: undefined,
  title: undefined,
  isOfNode: true,
  binds: () => true,
};

function run(input: Uint8Array): readonly string[] {
  const [given = '', question = '', group = '', label = '', id = ''] = text.decode(input).split('\n');
  const fault = patternFault(given);
  if (fault !== undefined) return [fault.replace(/[^a-z ].*$/s, '').slice(0, 20)];
  const pattern = compilePattern(given);
  const principal: Principal = { tenant: 't', id, kind: 'device', roles: [], groups: ['g', group], labels: { l: label } };
  const levels = question.split('/');
  const matches = matchesTopic(pattern, levels, principal);
  const tree = new PatternTree();
  tree.add({ statement, pattern });
  const found: CompiledStatement[] = [];
  tree.collect(levels, principal, found);
  assert.equal(found.length > 0, matches, 'the tree finds what the pattern matches');
  // Whatever is put in, it is one level, no wildcard, and no way to the broker's topics.
  if (matches && question.startsWith('$')) assert.ok(given.startsWith('$') && !given.startsWith('${'), 'who reaches $ has written it');
  if (!isFilter(levels)) return matches ? ['matches'] : ['differs'];
  const covers = coversFilter(pattern, levels, principal);
  const touches = touchesFilter(pattern, levels, principal);
  for (const topic of topicsOf(levels)) {
    const isIn = matchesTopic(pattern, topic, principal);
    if (covers) assert.ok(isIn, `covers ${question}, but does not match ${topic.join('/')}`);
    if (isIn) assert.ok(touches, `matches ${topic.join('/')} of ${question}, but does not touch it`);
  }
  return [`${matches} ${covers} ${touches}`];
}

function isFilter(levels: readonly string[]): boolean {
  return levels.every((level, i) => level === '+' || (level === '#' && i === levels.length - 1) || !/[+#]/.test(level));
}

/** Some topics that the filter of these levels matches. */
function topicsOf(filter: readonly string[]): string[][] {
  const isOpen = filter.at(-1) === '#';
  const plain = (isOpen ? filter.slice(0, -1) : filter).map((level) => (level === '+' ? 'fresh' : level));
  const topics = isOpen ? [plain, [...plain, 'fresh'], [...plain, 'fresh', 'g']] : [plain];
  return topics.filter((topic) => topic.length > 0);
}

export const target: Target = {
  name: 'policy-pattern',
  properties: [
    'a pattern is refused in words, or answers every question',
    'what covers a filter matches the topics of the filter; what matches one of them touches it',
    'the tree of patterns answers as the single pattern',
    'no id, group or label opens a topic that begins with $',
  ],
  covers: /\/src\/security\/policy\/(topic-pattern|pattern-tree)\.ts$/,
  maxBytes: 1024,
  slowMs: 200,
  seeds: [
    'dev/${id}/#\ndev/p/x\ng\nl\np',
    '${group}/+/${group}\ng/x/g\ng\nl\np',
    '${label:l}/#\n$SYS/x\ng\n$SYS\np',
    'a/${label:l}\na/+\ng\n+\np',
    '+/#\n#\n\n\n',
    '$${id}/a\n$p/a\n\n\np',
    '#\n+/#\n\n\n',
    'a/#\na\n\n\n',
    '/\n/\n\n\n',
  ].map(bytes),
  dictionary: [
    '${id}',
    '${device}',
    '${tenant}',
    '${group}',
    '${label:l}',
    '${label:none}',
    '/#',
    '/+',
    '+/',
    '$SYS',
    '$share/g/',
    '\n',
    '//',
  ].map(bytes),
  run,
};
