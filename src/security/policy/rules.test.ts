import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import type { Action, Principal } from '../security.ts';
import { createAuthorization } from './authorization.ts';
import { defaultRules, ruleFaults } from './rules.ts';
import type { Rule } from './rules.ts';

const rulesOf = (rules: readonly Rule[]) => createAuthorization({ rules }, { clock: new ManualClock(), log: silentLog });

const principal = (id: string, roles: string[] = [], tenant = 'main'): Principal => ({ tenant, id, kind: 'application', roles });

test('nothing is allowed without a rule, except to connect', () => {
  const rules = rulesOf([]);
  for (const action of ['publish', 'subscribe', 'consume', 'retain', 'manage'] as const) {
    assert.equal(rules.allows(principal('a'), action, 'x'), false, action);
  }
  assert.equal(rules.allows(principal('a'), 'connect', 'client'), true);
});

test('a deny rule wins, wherever it stands', () => {
  const allow: Rule = { allow: ['publish', 'subscribe'], topics: ['a/#'] };
  const deny: Rule = { deny: ['publish', 'subscribe'], topics: ['a/secret/#'] };
  for (const list of [
    [allow, deny],
    [deny, allow],
  ]) {
    const rules = rulesOf(list);
    assert.equal(rules.allows(principal('p'), 'publish', 'a/b'), true);
    assert.equal(rules.allows(principal('p'), 'publish', 'a/secret'), false);
    assert.equal(rules.allows(principal('p'), 'publish', 'a/secret/x'), false);
    assert.equal(rules.allows(principal('p'), 'retain', 'a/b'), false);
    assert.equal(rules.allows(principal('p'), 'subscribe', 'a/b/#'), true);
    assert.equal(rules.allows(principal('p'), 'subscribe', 'a/+/c'), false, 'touches what is denied');
    assert.equal(rules.allows(principal('p'), 'subscribe', 'a/#'), false);
    assert.equal(rules.allows(principal('p'), 'subscribe', '#'), false, 'wider than allowed');
  }
});

test('rules bind by user or role, within tenants', () => {
  const rules = rulesOf([
    { allow: ['publish'], topics: ['u'], users: ['ann'] },
    { allow: ['publish'], topics: ['r'], roles: ['writer'], tenants: ['acme'] },
    { allow: ['publish'], topics: ['b'], users: ['ann'], roles: ['writer'] },
    { allow: ['publish'], topics: ['${tenant}/${id}'] },
  ]);
  const may = (who: Principal, topic: string): boolean => rules.allows(who, 'publish', topic);
  assert.equal(may(principal('ann'), 'u'), true);
  assert.equal(may(principal('bob'), 'u'), false);
  assert.equal(may(principal('bob', ['writer'], 'acme'), 'r'), true);
  assert.equal(may(principal('bob', ['writer']), 'r'), false);
  assert.equal(may(principal('bob', ['reader'], 'acme'), 'r'), false);
  assert.equal(may(principal('ann'), 'b'), true);
  assert.equal(may(principal('bob', ['writer']), 'b'), true);
  assert.equal(may(principal('bob'), 'b'), false);
  assert.equal(may(principal('bob', [], 'acme'), 'acme/bob'), true);
  assert.equal(may(principal('bob', [], 'acme'), 'acme/ann'), false);
  assert.equal(may(principal('bob', [], 'acme'), 'main/bob'), false);
});

test('shared subscriptions are decided by the filter behind the group, queues by their own name', () => {
  const rules = rulesOf([{ allow: ['consume'], topics: ['jobs/#', '$queue/orders'] }]);
  const may = (filter: string): boolean => rules.allows(principal('p'), 'consume', filter);
  assert.equal(may('$share/g/jobs/+'), true);
  assert.equal(may('$share/jobs/other'), false);
  for (const broken of ['$share', '$share/', '$share/g', '$share/g/', '']) assert.equal(may(broken), false, broken);
  assert.equal(may('$queue/orders'), true);
  assert.equal(may('$queue/other'), false);
  assert.equal(may('$queue/+'), false);
  assert.equal(rules.allows(principal('p'), 'subscribe', 'jobs/x'), false, 'subscribe is another action');
});

test('an administrator may do everything but speak as the broker, and what a deny rule says', () => {
  const rules = rulesOf([{ deny: ['publish'], topics: ['sealed/#'] }]);
  const admin = principal('admin', ['admin']);
  assert.equal(rules.allows(admin, 'manage', '$admin'), true);
  for (const filter of ['#', '$SYS/#', '$queue/x']) assert.equal(rules.allows(admin, 'subscribe', filter), true, filter);
  assert.equal(rules.allows(admin, 'publish', '$presence/x'), true);
  for (const topic of ['$SYS', '$SYS/', '$SYS/broker/x']) {
    assert.equal(rules.allows(admin, 'publish', topic), false, topic);
    assert.equal(rules.allows(admin, 'retain', topic), false, topic);
  }
  assert.equal(rules.allows(admin, 'publish', '$SYSTEM'), true);
  assert.equal(rules.allows(admin, 'publish', 'sealed/x'), false);
});

test('a wildcard at the front of a pattern does not reach $-topics', () => {
  const rules = rulesOf([{ allow: ['subscribe', 'publish'], topics: ['#', '+/x'] }]);
  assert.equal(rules.allows(principal('p'), 'subscribe', '#'), true);
  assert.equal(rules.allows(principal('p'), 'subscribe', '$SYS/#'), false);
  assert.equal(rules.allows(principal('p'), 'publish', '$queue/x'), false);
});

test('connecting can be limited to some and to client ids, which are plain text', () => {
  const listed = rulesOf([{ allow: ['connect'], topics: ['${id}', '${id}/+'] }]);
  assert.equal(listed.allows(principal('p'), 'connect', 'p'), true);
  assert.equal(listed.allows(principal('p'), 'connect', 'p/2'), true);
  assert.equal(listed.allows(principal('p'), 'connect', 'q'), false);
  assert.equal(listed.allows(principal('p'), 'connect', '#'), false);
  const denied = rulesOf([{ deny: ['connect'], users: ['bad'] }]);
  assert.equal(denied.allows(principal('bad'), 'connect', 'x'), false);
  assert.equal(denied.allows(principal('good'), 'connect', 'x'), true);
});

test('the default rules keep a device in its branch', () => {
  const rules = rulesOf(defaultRules);
  const pump = principal('pump', ['device']);
  assert.equal(rules.allows(pump, 'publish', 'dev/pump/temperature'), true);
  assert.equal(rules.allows(pump, 'subscribe', 'dev/pump/#'), true);
  assert.equal(rules.allows(pump, 'subscribe', 'dev/+/temperature'), false);
  assert.equal(rules.allows(pump, 'publish', 'dev/other/temperature'), false);
  assert.equal(rules.allows(principal('app', ['application']), 'consume', '$queue/jobs'), true);
  assert.equal(rules.allows(principal('app', ['application']), 'subscribe', '$SYS/#'), false);
  assert.equal(rules.allows(principal('nobody'), 'publish', 'x'), false);
});

test('an allowed filter matches only allowed topics', () => {
  const level = fc.constantFrom('a', 'b', '+');
  const filterOf = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'));
  const ruleOf = fc.record({ yes: fc.boolean(), topics: fc.array(filterOf, { minLength: 1, maxLength: 2 }) });
  const all: string[] = [];
  const grow = (prefix: string): void => {
    for (const next of ['a', 'b', 'c']) {
      const topic = prefix === '' ? next : `${prefix}/${next}`;
      all.push(topic);
      if (topic.length < 9) grow(topic);
    }
  };
  grow('');
  const seen = { yes: 0, no: 0 };
  fc.assert(
    fc.property(fc.array(ruleOf, { maxLength: 4 }), filterOf, (list, filter) => {
      const names: Action[] = ['publish', 'subscribe'];
      const rules = rulesOf(list.map(({ yes, topics }) => (yes ? { allow: names, topics } : { deny: names, topics })));
      const allowed = rules.allows(principal('p'), 'subscribe', filter);
      allowed ? seen.yes++ : seen.no++;
      const asRule = rulesOf([{ allow: ['publish'], topics: [filter] }]);
      for (const topic of all) {
        if (!asRule.allows(principal('p'), 'publish', topic)) continue;
        if (allowed) assert.equal(rules.allows(principal('p'), 'publish', topic), true, `${filter} delivers ${topic}`);
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(seen.yes > 5 && seen.no > 5, JSON.stringify(seen));
});

test('faults of rules name their place', () => {
  assert.deepEqual(ruleFaults(defaultRules), []);
  const faults = ruleFaults([
    {},
    { allow: ['publish'], deny: ['publish'], topics: ['a'] },
    { allow: ['publish'] },
    { allow: ['manage'] },
    { allow: ['subscribe'], topics: ['a', 'b#'] },
    { deny: [], topics: [] },
    { allow: ['fly' as Action], topics: ['a'] },
  ]);
  assert.deepEqual(
    faults.map(({ at }) => at),
    ['rules[0]', 'rules[1]', 'rules[2]', 'rules[4].topics[1]', 'rules[5]', 'rules[5].topics', 'rules[6]'],
  );
  assert.throws(() => rulesOf([{}]), { name: 'UserError', where: 'rules[0]' });
});
