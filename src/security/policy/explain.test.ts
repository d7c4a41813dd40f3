import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import type { Access, Action, Principal } from '../security.ts';
import { createAuthorization } from './authorization.ts';
import type { Authorization } from './authorization.ts';
import { actions, policyFaults } from './policy-document.ts';
import type { Statement } from './policy-document.ts';
import type { Rule } from './rules.ts';

const access: Access = { listener: 'mqtts', remoteAddress: '10.1.2.3', secure: true, method: 'certificate', certificate: undefined };
const pump: Principal = { tenant: 'main', id: 'pump', kind: 'device', roles: ['pump'], groups: ['g', 'h'], labels: { site: 'b' }, access };

function engineOf(statements: readonly Statement[], rules: readonly Rule[] = []): Authorization {
  const files = [{ name: 'p.json', document: { version: 1, statements } }];
  return createAuthorization({ rules, files }, { clock: new ManualClock(Date.parse('2026-03-04T12:00:00Z')), log: silentLog });
}

test('names the statement, the pattern and the condition that decided', () => {
  const engine = engineOf(
    [
      { effect: 'allow', actions: ['publish'], topics: ['x', 'dev/${id}/#'], title: 'own branch' },
      { effect: 'deny', actions: ['publish'], topics: ['dev/+/secret'], conditions: { listeners: ['mqtt'] } },
      { effect: 'allow', actions: ['publish'], topics: ['big'], conditions: { maxPayloadBytes: 10 } },
      { effect: 'allow', actions: ['subscribe'], topics: ['#'], conditions: { networks: ['192.0.2.0/24'] } },
    ],
    [{ deny: ['publish'], topics: ['#'], users: ['other'] }],
  );
  const own = engine.explain(pump, 'publish', 'dev/pump/secret');
  assert.equal(own.reason, 'allowed-by');
  assert.deepEqual(own.decisive, {
    origin: { source: 'file', name: 'p.json', index: 0 },
    effect: 'allow',
    title: 'own branch',
    outcome: 'applies',
    pattern: 'dev/${id}/#',
    condition: undefined,
  });
  assert.deepEqual(
    own.findings.map(({ outcome, condition }) => [outcome, condition]),
    [
      ['applies', undefined],
      ['condition-unmet', 'listeners'],
      ['topic-differs', undefined],
    ],
  );
  const { access: _, ...offline } = pump;
  const unknown = engine.explain(offline, 'publish', 'dev/pump/secret');
  assert.equal(unknown.reason, 'denied-by');
  assert.equal(unknown.decisive?.condition, 'listeners');
  assert.match(unknown.notes.join(), /was not told/);
  assert.equal(engine.explain(pump, 'publish', 'big').isAllowed, true);
  const large = engine.explain(pump, 'publish', 'big', { guarantee: 0, payloadBytes: 11 });
  assert.deepEqual([large.reason, large.findings[2]?.condition], ['nothing-allows', 'maxPayloadBytes']);
  assert.deepEqual(engine.explain(pump, 'subscribe', 'a').findings[0]?.condition, 'networks');
  assert.equal(engine.explain({ ...pump, id: 'other' }, 'publish', 'x').decisive?.origin.name, 'security.rules');
  assert.equal(engine.explain(pump, 'publish', '$SYS/x').reason, 'broker-only');
  assert.equal(engine.explain(pump, 'publish', '$coap/rd/pump').reason, 'broker-only');
  assert.equal(engine.explain(pump, 'subscribe', '$share/g').reason, 'invalid');
  assert.equal(engine.explain(pump, 'connect', 'c').reason, 'not-restricted');
  assert.match(engine.explain({ ...pump, roles: [] }, 'publish', 'nowhere').notes.join(), /no roles/);
  const officer: Principal = { tenant: 'acme', id: 'o', kind: 'user', roles: ['admin'] };
  assert.equal(engine.explain(officer, 'manage', 'config:read').findings[0]?.outcome, 'node-only');
});

const level = fc.constantFrom('a', 'b', '+', '${id}', '${group}', '${label:site}', '${label:none}', '$x', 'pump');
const pattern = fc.oneof(
  fc.constantFrom('#', 'a/#', '+'),
  fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/')),
);
const conditions = fc.option(
  fc.record(
    {
      listeners: fc.constantFrom(['mqtts'], ['mqtt']),
      networks: fc.constantFrom(['10.0.0.0/8'], ['192.0.2.0/24']),
      secure: fc.boolean(),
      time: fc.constantFrom({ days: ['wed' as const] }, { until: '06:00' }),
      payload: fc.constant('signed' as const),
    },
    { requiredKeys: [] },
  ),
  { nil: undefined, freq: 2 },
);
const message = fc.option(
  fc.record({ guarantee: fc.constantFrom({ min: 1 }, { max: 1 }), maxPayloadBytes: fc.constantFrom(5, 50) }, { requiredKeys: [] }),
  {
    nil: undefined,
  },
);
const messaging = fc
  .record({
    effect: fc.constantFrom('allow' as const, 'allow' as const, 'deny' as const),
    actions: fc.subarray<Action>(['publish', 'subscribe', 'consume', 'retain'], { minLength: 1 }),
    topics: fc.array(pattern, { minLength: 1, maxLength: 3 }),
    conditions,
    message,
  })
  .map(({ conditions: own, message: asked, ...rest }): Statement => ({
    ...rest,
    ...((own ?? asked) && { conditions: { ...own, ...asked } }),
  }));
const other = fc
  .record({
    effect: fc.constantFrom('allow' as const, 'deny' as const),
    actions: fc.constantFrom<Action[]>(['connect'], ['manage']),
    conditions,
  })
  .map(({ conditions: own, ...rest }): Statement => ({ ...rest, ...(own && { conditions: own }) }));
const statements = fc
  .array(fc.oneof({ weight: 4, arbitrary: messaging }, other), { maxLength: 5 })
  .map((list) => list.filter((statement) => policyFaults({ version: 1, statements: [statement] }).length === 0));

test('the explanation and the decision never differ', () => {
  const topic = fc
    .array(fc.constantFrom('a', 'b', 'pump', 'g', '$x', '+', '#', '$share', 'devices:read', 'config:read', '$admin'), {
      minLength: 1,
      maxLength: 4,
    })
    .map((levels) => levels.join('/'));
  const who = fc.record({
    groups: fc.subarray(['g', 'a', 'b']),
    access: fc.constantFrom(access, { ...access, listener: 'mqtt', secure: false }, undefined),
    tenant: fc.constantFrom('main', 'acme'),
    roles: fc.constantFrom(['pump'], ['viewer'], ['admin']),
  });
  const facts = fc.record({ guarantee: fc.constantFrom(0 as const, 1 as const, 2 as const), payloadBytes: fc.constantFrom(0, 5, 6, 51) });
  const seen = { yes: 0, no: 0, terms: 0 };
  fc.assert(
    fc.property(statements, who, topic, facts, (list, { access: how, ...changes }, text, fact) => {
      const engine = engineOf(list);
      const { access: _, ...rest } = pump;
      const principal: Principal = { ...rest, ...changes, ...(how && { access: how }) };
      for (const action of actions) {
        const isAllowed = engine.allows(principal, action, text);
        const words = `${action} ${text} ${JSON.stringify(list)}`;
        assert.equal(engine.explain(principal, action, text).isAllowed, isAllowed, words);
        if (action !== 'publish' && action !== 'retain') continue;
        const terms = engine.messageTerms(principal, action, text);
        const passes = isAllowed && (terms?.allows(fact.guarantee, fact.payloadBytes) ?? true);
        assert.equal(engine.explain(principal, action, text, fact).isAllowed, passes, `${words} ${JSON.stringify(fact)}`);
        seen[passes ? 'yes' : 'no']++;
        if (terms !== undefined) seen.terms++;
      }
    }),
    { numRuns: 1500 },
  );
  assert.ok(seen.yes > 50 && seen.no > 50 && seen.terms > 20, JSON.stringify(seen));
});
