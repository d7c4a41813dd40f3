// Any text as a policy, and what a policy that was taken then answers.

import assert from 'node:assert/strict';
import { ManualClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { createAuthorization } from '../../../src/security/policy/authorization.ts';
import { actions, readPolicy } from '../../../src/security/policy/policy-document.ts';
import type { Principal } from '../../../src/security/security.ts';
import type { Target } from '../target.ts';

const text = new TextDecoder();
const bytes = (string: string): Uint8Array => new TextEncoder().encode(string);
const clock = new ManualClock(Date.parse('2026-03-04T12:00:00Z'));

const principals: readonly Principal[] = [
  { tenant: 'main', id: 'nobody', kind: 'anonymous', roles: [] },
  {
    tenant: 'acme',
    id: 'pump',
    kind: 'device',
    roles: ['device', 'r'],
    groups: ['g', '+'],
    labels: { l: '#', x: 'a/b', y: '$SYS' },
    access: { listener: 'mqtts', remoteAddress: '10.0.0.1', secure: true, method: 'certificate', certificate: undefined },
  },
];
const topics = ['a', 'a/b', '#', '+/b', '$SYS/x', '$share/g/a', 'pump', 'devices:read', 'config:write', '$admin', ''];

function run(input: Uint8Array): readonly string[] {
  const source = text.decode(input);
  const reading = readPolicy(source);
  assert.equal(Object.getOwnPropertyNames(Object.prototype).length, ownNames, 'the prototype of objects is untouched');
  if (!reading.ok) {
    assert.ok(reading.faults.length > 0 && reading.faults.length <= 50);
    for (const { what, fix } of reading.faults) {
      assert.ok(what.length > 0 && what.length < 300 && fix.length > 0, 'a fault says what is wrong and how to mend it');
      assert.ok(!/[\p{Cc}]/u.test(what), 'nothing that cannot be seen is repeated');
    }
    return reading.faults.map(({ what }) => what.replace(/[^a-z ].*$/s, '').slice(0, 16));
  }
  // Whoever reads it with another parser finds the same.
  assert.equal(JSON.stringify(JSON.parse(source)), JSON.stringify(reading.document));
  return answers(reading.document);
}

const ownNames = Object.getOwnPropertyNames(Object.prototype).length;

/** Decisions and explanations agree, and an empty registry of statements would have denied. */
function answers(document: unknown): readonly string[] {
  const engine = createAuthorization({ rules: [], files: [{ name: 'fuzz', document }] }, { clock, log: silentLog });
  const seen = ['good'];
  for (const principal of principals) {
    for (const action of actions) {
      for (const topic of topics) {
        const isAllowed = engine.allows(principal, action, topic);
        assert.equal(engine.explain(principal, action, topic).isAllowed, isAllowed, `${principal.id} ${action} ${topic}`);
        if (isAllowed) seen.push(action);
        if (isAllowed && (action === 'publish' || action === 'retain')) assert.ok(!topic.startsWith('$SYS'), 'the voice of the broker');
      }
    }
  }
  return seen;
}

const whole = {
  version: 1,
  title: 'whole',
  statements: [
    {
      effect: 'allow',
      title: 't',
      actions: ['publish', 'retain'],
      topics: ['a/#', '${id}/${label:l}/${group}/${tenant}/${device}'],
      principals: { kinds: ['device'], ids: ['p*p'], roles: ['r'], groups: ['g'], tenants: ['acme'] },
      conditions: {
        listeners: ['mqtts'],
        networks: ['10.0.0.0/8', '::1'],
        time: {
          days: ['wed'],
          from: '10:00',
          until: '13:00',
          notBefore: '2026-01-01T00:00:00Z',
          notAfter: '2027-01-01T00:00:00Z',
          zone: 'UTC',
        },
        secure: true,
        methods: ['certificate'],
        guarantee: { min: 0, max: 1 },
        maxPayloadBytes: 100,
      },
    },
    { effect: 'deny', actions: ['subscribe', 'consume'], topics: ['+/b'], conditions: { listeners: ['mqtt'] } },
    { effect: 'deny', actions: ['publish'], topics: ['a/b'], conditions: { payload: 'signed' } },
    { effect: 'allow', actions: ['connect'], topics: ['${id}'] },
    { effect: 'allow', actions: ['manage'], topics: ['devices:read', '$admin'] },
  ],
};

export const target: Target = {
  name: 'policy-document',
  properties: [
    'a text is a policy, or is refused with faults in words, at most 50; it never throws',
    'a policy that is taken reads the same with JSON.parse, and touches no prototype',
    'decision and explanation agree for every question; nobody publishes to $SYS',
  ],
  covers: /\/src\/security\/policy\//,
  maxBytes: 4096,
  slowMs: 500,
  seeds: [
    JSON.stringify(whole),
    ...whole.statements.map((statement) => JSON.stringify({ version: 1, statements: [statement] })),
    '{"version":1,"statements":[]}',
    '{"version":1,"version":1,"statements":[]}',
    '{"__proto__":{"version":1},"statements":[]}',
    '[[[[[[[[[[[[]]]]]]]]]]]]',
    '"\\ud800"',
    '',
  ].map(bytes),
  dictionary: [
    ...Object.keys(whole.statements[0]!),
    ...Object.keys(whole.statements[0]!.conditions!),
    ...actions,
    '"statements":[',
    '"__proto__":',
    '"constructor":',
    '${group}',
    '${label:x}',
    '${label:',
    '/#"',
    '"+/',
    '\\u0000',
    '\\ud800',
    '1e999',
    '-0',
    'null',
    '::ffff:10.0.0.1/104',
    '24:00',
    'devices:read',
  ].map(bytes),
  run,
};
