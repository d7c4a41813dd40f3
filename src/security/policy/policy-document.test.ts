import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyFaults, policyLimits, readPolicy } from './policy-document.ts';

const good = {
  version: 1,
  title: 'Pumps of hall 1',
  statements: [
    {
      title: 'their own branch',
      effect: 'allow',
      actions: ['publish', 'retain'],
      topics: ['dev/${id}/#', '${tenant}/${device}/${group}/${label:site}'],
      principals: { kinds: ['device'], ids: ['pump-*'], roles: ['pump'], groups: ['hall-1'], tenants: ['main'] },
      conditions: {
        listeners: ['mqtts'],
        networks: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1'],
        time: {
          days: ['mon', 'fri'],
          from: '06:00',
          until: '22:00',
          notBefore: '2026-01-01T00:00:00Z',
          notAfter: '2027-01-01T00:00:00Z',
          zone: 'UTC',
        },
        secure: true,
        methods: ['certificate', 'psk'],
        guarantee: { min: 1, max: 2 },
        maxPayloadBytes: 65_536,
        payload: 'signed',
      },
    },
    { effect: 'deny', actions: ['subscribe', 'consume'], topics: ['#'] },
    { effect: 'allow', actions: ['connect'], topics: ['${id}'] },
    { effect: 'allow', actions: ['connect'] },
    { effect: 'allow', actions: ['manage'], topics: ['devices:read', '$admin'] },
    { effect: 'deny', actions: ['manage'] },
  ],
};

test('a good document is taken, as text and as an object', () => {
  assert.deepEqual(policyFaults(good), []);
  assert.deepEqual(policyFaults(JSON.stringify(good)), []);
  assert.deepEqual(policyFaults({ version: 1, statements: [] }), []);
});

/** The good statement of a message with some of its members replaced. */
const one = (changes: object): object => ({
  version: 1,
  statements: [{ effect: 'allow', actions: ['publish'], topics: ['a'], ...changes }],
});
const when = (conditions: unknown, changes: object = {}): object => one({ conditions, ...changes });

test('each fault is told with its place, words and a remedy', () => {
  const cases: [unknown, string, RegExp][] = [
    ['', '', /ends too early/],
    ['{"version":1,"version":1}', '', /names the key "version" twice/],
    ['x'.repeat(policyLimits.bytes + 1), '', /larger than 65536 bytes/],
    [[], '', /must be an object/],
    [null, '', /must be an object/],
    [{ statements: [] }, 'version', /is missing/],
    [{ version: 2, statements: [] }, 'version', /not a version/],
    [{ version: 1 }, 'statements', /is missing/],
    [{ version: 1, statements: {} }, 'statements', /must be a list/],
    [{ version: 1, statements: [], extra: 1 }, 'extra', /is not known here/],
    [{ version: 1, statements: [], title: 'a\nb' }, 'title', /cannot be seen/],
    [{ version: 1, statements: Array.from({ length: policyLimits.statements + 1 }, () => ({})) }, 'statements', /more than 1000/],
    [{ version: 1, statements: [7] }, 'statements[0]', /must be an object/],
    [one({ effect: 'permit' }), 'statements[0].effect', /"permit", which is not known/],
    [one({ effect: undefined }), 'statements[0].effect', /is missing/],
    [one({ actions: [] }), 'statements[0].actions', /empty list/],
    [one({ actions: 'publish' }), 'statements[0].actions', /must be a list/],
    [one({ actions: ['publish', 'fly'] }), 'statements[0].actions[1]', /"fly"/],
    [one({ actions: ['connect', 'publish'] }), 'statements[0].actions', /connect beside others/],
    [one({ actions: ['manage', 'publish'], topics: ['#'] }), 'statements[0].actions', /manage beside others/],
    [one({ topics: undefined }), 'statements[0].topics', /is missing, and publish needs it/],
    [one({ topics: [] }), 'statements[0].topics', /empty list/],
    [one({ topics: ['a', 'b/#/c'] }), 'statements[0].topics[1]', /`#` before its last level/],
    [one({ topics: ['${name}'] }), 'statements[0].topics[0]', /unknown variable/],
    [one({ topics: ['${label:}'] }), 'statements[0].topics[0]', /unknown variable/],
    [one({ topics: ['a/'.repeat(200)] }), 'statements[0].topics[0]', /more than 128 levels/],
    [one({ topics: ['a'.repeat(2000)] }), 'statements[0].topics[0]', /longer than 1024/],
    [one({ actions: ['manage'], topics: ['devices'] }), 'statements[0].topics[0]', /no part of the management interface/],
    [one({ principals: { kinds: ['robot'] } }), 'statements[0].principals.kinds[0]', /"robot"/],
    [one({ principals: { ids: [] } }), 'statements[0].principals.ids', /empty list/],
    [one({ principals: { users: ['x'] } }), 'statements[0].principals.users', /not known here/],
    [one({ principals: { ids: [''] } }), 'statements[0].principals.ids[0]', /is empty/],
    [when({ networks: ['10.0.0.1/8'] }), 'statements[0].conditions.networks[0]', /bits behind its length/],
    [when({ networks: ['ten'] }), 'statements[0].conditions.networks[0]', /no network/],
    [when({ secure: 'yes' }), 'statements[0].conditions.secure', /true or false/],
    [when({ methods: ['magic'] }), 'statements[0].conditions.methods[0]', /"magic"/],
    [when({ time: { days: ['monday'] } }), 'statements[0].conditions.time.days[0]', /"monday"/],
    [when({ time: { from: '6:00' } }), 'statements[0].conditions.time.from', /not what it must be/],
    [when({ time: { from: '06:00', until: '06:00' } }), 'statements[0].conditions.time.until', /when it begins/],
    [when({ time: { zone: 'CET' } }), 'statements[0].conditions.time.zone', /"CET"/],
    [when({ time: { notBefore: '2026-02-30T00:00:00Z' } }), 'statements[0].conditions.time.notBefore', /not what it must be/],
    [
      when({ time: { notBefore: '2026-02-02T00:00:00Z', notAfter: '2026-02-01T00:00:00Z' } }),
      'statements[0].conditions.time.notAfter',
      /never hold/,
    ],
    [when({ guarantee: {} }), 'statements[0].conditions.guarantee', /neither min nor max/],
    [when({ guarantee: { min: 3 } }), 'statements[0].conditions.guarantee.min', /from 0 to 2/],
    [when({ guarantee: { min: 2, max: 1 } }), 'statements[0].conditions.guarantee', /never hold/],
    [when({ maxPayloadBytes: -1 }), 'statements[0].conditions.maxPayloadBytes', /whole number/],
    [when({ maxPayloadBytes: 1 }, { effect: 'deny' }), 'statements[0].conditions.maxPayloadBytes', /deny small messages/],
    [when({ payload: 'plain' }), 'statements[0].conditions.payload', /"plain"/],
    [when({ payload: 'signed' }, { actions: ['subscribe'] }), 'statements[0].conditions.payload', /subscribe has none/],
    [when({ weather: 'fine' }), 'statements[0].conditions.weather', /not known here/],
  ];
  for (const [document, path, what] of cases) {
    const faults = policyFaults(document);
    const words = JSON.stringify(document).slice(0, 200);
    const fault = faults.find((each) => each.path === path);
    assert.ok(fault, `${words}: no fault at ${path}, but ${JSON.stringify(faults)}`);
    assert.match(fault.what, what, words);
    assert.ok(fault.fix.length > 0, words);
  }
});

test('all faults of a document are told at once, up to a bound', () => {
  const faults = policyFaults({ version: 3, statements: [{ effect: 'x', actions: ['y'], topics: ['a#'] }] });
  assert.deepEqual(
    faults.map(({ path }) => path),
    ['version', 'statements[0].effect', 'statements[0].actions[0]', 'statements[0].topics[0]'],
  );
  assert.equal(policyFaults({ version: 1, statements: Array.from({ length: 1000 }, () => 0) }).length, 50);
});

test('nothing but own members of plain objects counts', () => {
  const polluted = Object.create({ effect: 'allow' }) as object;
  assert.equal(readPolicy({ version: 1, statements: [Object.assign(polluted, { actions: ['publish'], topics: ['#'] })] }).ok, false);
  const text = '{"version":1,"statements":[{"__proto__":{"effect":"allow"},"actions":["publish"],"topics":["#"]}]}';
  assert.deepEqual(
    policyFaults(text).map(({ path }) => path),
    ['statements[0].__proto__', 'statements[0].effect'],
  );
  assert.deepEqual(
    policyFaults(JSON.parse(text)).map(({ path }) => path),
    ['statements[0].__proto__', 'statements[0].effect'],
  );
  assert.equal(({} as Record<string, unknown>)['effect'], undefined);
  assert.equal(policyFaults({ version: 1, statements: [], constructor: 1 })[0]?.path, 'constructor');
  assert.equal(policyFaults({ version: 1, statements: [undefined] }).length, 1);
});
