import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import type { Change, ChangeListener, Registry, Result } from '../../registry/registry.ts';
import type { Access, Action, Principal } from '../security.ts';
import { createAuthorization, defaultAuthorizationLimits } from './authorization.ts';
import type { Authorization, AuthorizationLimits } from './authorization.ts';
import type { Conditions, Statement } from './policy-document.ts';
import type { Rule } from './rules.ts';

const access: Access = { listener: 'mqtts', remoteAddress: '10.1.2.3', secure: true, method: 'certificate', certificate: undefined };
const pump: Principal = {
  tenant: 'acme',
  id: 'pump-7',
  kind: 'device',
  roles: ['pump'],
  groups: ['hall-1', 'hall-2'],
  labels: { site: 'berlin', odd: '+', deep: 'a/b', own: '$SYS' },
  access,
};

/** Roles and policies of tenants, read as slowly as a server answers. */
class FakeRegistry {
  readonly roles = new Map<string, Map<string, readonly string[]>>();
  readonly policies = new Map<string, Map<string, string>>();
  isDown = false;
  reads = 0;
  #listeners = new Set<ChangeListener>();
  #version = 0;

  role(tenant: string, id: string, ...policies: string[]): this {
    this.roles.set(tenant, (this.roles.get(tenant) ?? new Map()).set(id, policies));
    return this.#changed(tenant, 'role', id);
  }

  policy(tenant: string, id: string, ...statements: unknown[]): this {
    return this.document(tenant, id, JSON.stringify({ version: 1, statements }));
  }

  document(tenant: string, id: string, document: string): this {
    this.policies.set(tenant, (this.policies.get(tenant) ?? new Map()).set(id, document));
    return this.#changed(tenant, 'policy', id);
  }

  #changed(tenant: string, kind: Change['kind'], id: string): this {
    const change: Change = { version: ++this.#version, kind, tenant, id, what: 'updated' };
    for (const listener of this.#listeners) listener([change]);
    return this;
  }

  readonly door = {
    list: async (kind: string, tenant: string, { limit = 100, after }: { limit?: number; after?: string }): Promise<Result<unknown>> => {
      this.reads++;
      await Promise.resolve();
      if (this.isDown) return { ok: false, error: { code: 'unavailable', message: 'down' } };
      const all = kind === 'role' ? [...(this.roles.get(tenant) ?? [])] : [...(this.policies.get(tenant) ?? [])];
      const rest = all.sort(([a], [b]) => (a < b ? -1 : 1)).filter(([id]) => after === undefined || id > after);
      const entries = rest
        .slice(0, limit)
        .map(([id, value]) =>
          kind === 'role' ? { id, tenant, policies: value } : { id, tenant, version: this.#version, document: value },
        );
      return { ok: true, value: { entries, next: rest.length > limit ? entries.at(-1)!.id : undefined } };
    },
    subscribe: (listener: ChangeListener) => {
      this.#listeners.add(listener);
      return () => void this.#listeners.delete(listener);
    },
  } as unknown as Pick<Registry, 'list' | 'subscribe'>;

  get watchers(): number {
    return this.#listeners.size;
  }
}

type World = {
  readonly engine: Authorization;
  readonly clock: ManualClock;
  readonly registry: FakeRegistry;
  readonly retries: (() => void)[];
};

function world(rules: readonly Rule[] = [], limits: Partial<AuthorizationLimits> = {}, files: readonly Statement[] = []): World {
  const clock = new ManualClock(Date.parse('2026-03-04T12:00:00Z'));
  const registry = new FakeRegistry();
  const retries: (() => void)[] = [];
  const later = (_: number, task: () => void): (() => void) => {
    retries.push(task);
    return () => void retries.splice(retries.indexOf(task), 1);
  };
  const settings = { rules, files: [{ name: 'file.json', document: { version: 1, statements: files } }] };
  const engine = createAuthorization(
    settings,
    { clock, log: silentLog, registry: registry.door, later },
    { ...defaultAuthorizationLimits, ...limits },
  );
  return { engine, clock, registry, retries };
}

const allow = (topics: string[], conditions?: Conditions, actions: Action[] = ['publish']): Statement => ({
  effect: 'allow',
  actions,
  topics,
  ...(conditions && { conditions }),
});
const deny = (topics: string[], conditions?: Conditions, actions: Action[] = ['publish']): Statement => ({
  ...allow(topics, conditions, actions),
  effect: 'deny',
});

/** An engine in which the pump's role names one policy with these statements. */
async function withPolicy(...statements: unknown[]): Promise<World> {
  const made = world();
  made.registry.policy('acme', 'p', ...statements).role('acme', 'pump', 'p');
  assert.equal(await made.engine.ready('acme'), true);
  return made;
}

test('roles lead to policies of the own tenant, and only to those', async () => {
  const { engine, registry } = world();
  registry.policy('acme', 'write', allow(['a/#'])).role('acme', 'pump', 'write', 'missing');
  registry.policy('other', 'write', allow(['b/#'])).role('other', 'pump', 'write');
  for (const tenant of ['acme', 'other']) assert.equal(await engine.ready(tenant), true);
  assert.equal(engine.allows(pump, 'publish', 'a/1'), true);
  assert.equal(engine.allows(pump, 'publish', 'b/1'), false);
  assert.equal(engine.allows({ ...pump, tenant: 'other' }, 'publish', 'b/1'), true);
  assert.equal(engine.allows({ ...pump, tenant: 'other' }, 'publish', 'a/1'), false);
  assert.equal(engine.allows({ ...pump, roles: ['unknown'] }, 'publish', 'a/1'), false);
});

test('nothing is allowed in a tenant that has not been read, and the version moves when it is', async () => {
  const { engine, registry } = world([{ allow: ['publish'], topics: ['#'] }]);
  registry.policy('acme', 'p', deny(['secret/#'])).role('acme', 'pump', 'p');
  const before = engine.version;
  assert.equal(engine.allows(pump, 'publish', 'open'), false);
  assert.equal(await engine.ready('acme'), true);
  assert.equal(engine.ready('acme'), true, 'at once from now on');
  assert.notEqual(engine.version, before);
  assert.equal(engine.allows(pump, 'publish', 'open'), true);
  assert.equal(engine.allows(pump, 'publish', 'secret/x'), false);
});

test('a change in the registry counts as soon as it is read, also for answers that are remembered', async () => {
  const { engine, registry } = await withPolicy(allow(['a/#']));
  assert.equal(engine.allows(pump, 'publish', 'a/1'), true);
  const before = engine.version;
  registry.policy('acme', 'p', allow(['b/#']));
  // Who connects now waits for it.
  const ready = engine.ready('acme');
  assert.ok(ready instanceof Promise);
  registry.policy('acme', 'p', allow(['c/#']));
  assert.equal(await ready, true);
  assert.notEqual(engine.version, before);
  assert.deepEqual(
    ['a/1', 'b/1', 'c/1'].map((topic) => engine.allows(pump, 'publish', topic)),
    [false, false, true],
    'also what changed while it was being read',
  );
});

test('a registry that cannot be read keeps newcomers out, leaves the others as they are, and is asked again', async () => {
  const { engine, registry, retries } = await withPolicy(allow(['a/#']));
  registry.isDown = true;
  registry.role('acme', 'pump');
  assert.equal(await engine.ready('acme'), false);
  assert.equal(await engine.ready('new'), false);
  assert.equal(engine.allows(pump, 'publish', 'a/1'), true);
  registry.isDown = false;
  assert.equal(retries.length, 2);
  for (const retry of retries.slice()) retry();
  assert.equal(await engine.ready('acme'), true);
  assert.equal(engine.allows(pump, 'publish', 'a/1'), false);
  engine.close();
  assert.equal(registry.watchers, 0);
});

test('a broken policy grants nothing, denies messages if it may have denied some, and everybody can see it', async () => {
  const { engine, registry } = world([{ allow: ['publish'], topics: ['open'] }]);
  registry.document(
    'acme',
    'broken',
    '{"version": 1, "statements": [{"effect": "allow", "actions": ["publish"], "topics": ["#"]}], "x": 1}',
  );
  registry.policy('acme', 'good', allow(['a'])).role('acme', 'pump', 'broken', 'good');
  await engine.ready('acme');
  assert.equal(engine.allows(pump, 'publish', 'a'), true);
  assert.equal(engine.allows(pump, 'publish', 'b'), false);
  assert.equal(engine.allows(pump, 'publish', 'open'), true);
  const broken = [...engine.metrics()].find(({ name }) => name === 'heliograph_security_policy_broken');
  assert.equal(broken?.value, 1);
  assert.match(
    engine.explain(pump, 'publish', 'a').notes.join(),
    /policy broken is broken, grants nothing and denies nothing: x is not known here/,
  );
  const denying = [
    '{"version": 1, "statements": [{"effect": "allow"}, {"effect": "deny", "actions": ["publish"], "topics": ["b"]}]}',
    '{"version": 1, "statements": [{"effect": "forbid", "actions": ["publish"], "topics": ["b"]}]}',
    '{"version": 1, "statements": [null]}',
    '{"version": 2, "rules": []}',
    '{"version": 1, "statements": [], "statements": []}',
    'null',
    '{',
  ];
  for (const document of denying) {
    registry.document('acme', 'broken', document);
    await engine.ready('acme');
    for (const action of ['publish', 'subscribe', 'consume', 'retain'] as const) {
      assert.equal(engine.allows(pump, action, action === 'publish' ? 'open' : 'a'), false, `${action} ${document}`);
    }
    assert.equal(engine.allows(pump, 'connect', 'c'), true);
    assert.match(engine.explain(pump, 'publish', 'a').notes.join(), /is broken, grants nothing and denies messages/);
  }
});

test('a tenant with more than can be held cannot be read', async () => {
  const { engine, registry } = world([], { entriesPerTenant: 3, tenants: 2 });
  for (let i = 0; i < 4; i++) registry.role('big', `r${i}`);
  assert.equal(await engine.ready('big'), false);
  assert.equal(await engine.ready('acme'), true);
  assert.equal(engine.ready('third'), false);
});

test('variables stand for what is known of the principal, and never for more than one level', async () => {
  const { engine } = await withPolicy(
    allow([
      '${tenant}/${device}/${id}',
      'g/${group}/x/${group}',
      's/${label:site}',
      'odd/${label:odd}/x',
      'deep/${label:deep}',
      '${label:own}/x',
    ]),
    allow(['g/${group}/#', 'none/${label:none}/#', 's/${label:site}/+', 'odd/${label:odd}', '${label:own}/#'], undefined, ['subscribe']),
  );
  const may = (topic: string): boolean => engine.allows(pump, 'publish', topic);
  assert.equal(may('acme/pump-7/pump-7'), true);
  assert.equal(may('g/hall-1/x/hall-1'), true);
  assert.equal(may('g/hall-2/x/hall-2'), true);
  assert.equal(may('g/hall-1/x/hall-2'), false, 'one group at a time');
  assert.equal(may('g/hall-3/x/hall-3'), false);
  assert.equal(may('s/berlin'), true);
  assert.equal(may('s/paris'), false);
  assert.equal(may('odd/anything/x'), false);
  assert.equal(may('deep/a/b'), false);
  assert.equal(may('$SYS/x'), false);
  const hears = (filter: string): boolean => engine.allows(pump, 'subscribe', filter);
  assert.equal(hears('g/hall-2/#'), true);
  assert.equal(hears('g/+/#'), false);
  assert.equal(hears('none/#'), false);
  assert.equal(hears('s/berlin/+'), true);
  assert.equal(hears('odd/+'), false);
  assert.equal(hears('$SYS/#'), false);
  const { labels: _, groups: __, ...bare } = pump;
  assert.equal(engine.allows(bare, 'publish', 'g/hall-1/x/hall-1'), false);
  assert.equal(engine.allows(bare, 'publish', 's/undefined'), false);
});

test('whatever a label or group holds, it opens no more than one topic of that name', () => {
  const nasty = fc.oneof(fc.constantFrom('+', '#', 'a/b', '$SYS', '$queue', '', '/', '${id}', '+/#', 'x'), fc.string({ maxLength: 5 }));
  const { engine } = bare([allow(['${label:l}/#', 'p/${label:l}/q', 'g/${group}'], undefined, ['publish', 'subscribe', 'consume'])]);
  fc.assert(
    fc.property(nasty, nasty, (value, topicLevel) => {
      // With these one pattern can stand in for another.
      fc.pre(![value, topicLevel].some((one) => one === 'p' || one === 'g'));
      const who: Principal = { ...pump, labels: { l: value }, groups: [value] };
      for (const topic of [`${topicLevel}/z`, `p/${topicLevel}/q`, `g/${topicLevel}`]) {
        const isPlain = !/[+#/]/.test(topicLevel);
        const isOwn = topicLevel === value && value !== '' && isPlain && !(topic.startsWith('$') && topic.endsWith('/z'));
        if (isPlain) assert.equal(engine.allows(who, 'publish', topic), isOwn, `${JSON.stringify(value)} publishes to ${topic}`);
        else assert.equal(engine.allows(who, 'subscribe', topic), false, `${JSON.stringify(value)} subscribes to ${topic}`);
      }
      for (const wide of ['#', '+/#', 'p/+/q', 'p/#', 'g/+', '$SYS/#', '$queue/x']) {
        assert.equal(engine.allows(who, 'subscribe', wide), false, `${JSON.stringify(value)} subscribes to ${wide}`);
      }
    }),
    { numRuns: 300 },
  );
});

/** An engine without a registry: the statements stand in a file. */
function bare(statements: readonly Statement[], rules: readonly Rule[] = []): { engine: Authorization; clock: ManualClock } {
  const clock = new ManualClock(Date.parse('2026-03-04T12:00:00Z'));
  const files = [{ name: 'file.json', document: { version: 1, statements } }];
  return { engine: createAuthorization({ rules, files }, { clock, log: silentLog }), clock };
}

test('statements bind by kind, id, role, group and tenant', () => {
  const who = (principals: Statement['principals']): boolean =>
    bare([{ ...allow(['x']), ...(principals && { principals }) }]).engine.allows(pump, 'publish', 'x');
  assert.equal(who(undefined), true);
  assert.equal(who({ kinds: ['device'], ids: ['pump-*'], roles: ['pump'], groups: ['hall-2'], tenants: ['acme'] }), true);
  assert.equal(who({ kinds: ['user'] }), false);
  assert.equal(who({ ids: ['valve-*', 'p*7', 'x'] }), true);
  assert.equal(who({ ids: ['pump'] }), false);
  assert.equal(who({ roles: ['other'] }), false);
  assert.equal(who({ groups: ['hall-3'] }), false);
  assert.equal(who({ tenants: ['main'] }), false);
});

test('conditions of the connection decide, and what cannot be known works against whoever asks', () => {
  const cases: [Conditions, Partial<Access>, boolean][] = [
    [{ listeners: ['mqtts', 'wss'] }, {}, true],
    [{ listeners: ['mqtt'] }, {}, false],
    [{ networks: ['10.0.0.0/8'] }, {}, true],
    [{ networks: ['10.0.0.0/8'] }, { remoteAddress: '::ffff:10.9.9.9' }, true],
    [{ networks: ['10.0.0.0/8'] }, { remoteAddress: '11.0.0.1' }, false],
    [{ networks: ['2001:db8::/32'] }, { remoteAddress: '2001:db8:1::2' }, true],
    [{ networks: ['::/0'] }, {}, false],
    [{ networks: ['0.0.0.0/0'] }, {}, true],
    [{ secure: true }, { secure: false }, false],
    [{ secure: false }, { secure: false }, true],
    [{ methods: ['psk', 'certificate'] }, {}, true],
    [{ methods: ['password'] }, {}, false],
    [{ listeners: ['mqtts'], secure: true, methods: ['password'] }, {}, false],
  ];
  for (const [conditions, changes, isMet] of cases) {
    const who = { ...pump, access: { ...access, ...changes } };
    const words = JSON.stringify([conditions, changes]);
    assert.equal(bare([allow(['x'], conditions)]).engine.allows(who, 'publish', 'x'), isMet, words);
    assert.equal(bare([allow(['#']), deny(['x'], conditions)]).engine.allows(who, 'publish', 'x'), !isMet, words);
  }
  const { access: _, ...offline } = pump;
  const unknowable: [Conditions, Principal][] = [
    [{ listeners: ['mqtts'] }, offline],
    [{ secure: true }, offline],
    [{ networks: ['10.0.0.0/8'] }, { ...pump, access: { ...access, remoteAddress: 'unix' } }],
    [{ payload: 'signed' }, pump],
    [{ payload: 'encrypted' }, pump],
  ];
  for (const [conditions, who] of unknowable) {
    const words = JSON.stringify(conditions);
    assert.equal(bare([allow(['x'], conditions)]).engine.allows(who, 'publish', 'x'), false, words);
    assert.equal(bare([allow(['#']), deny(['x'], conditions)]).engine.allows(who, 'publish', 'x'), false, words);
  }
  // One condition that is not met decides, whatever cannot be known besides.
  const mixed = bare([allow(['#']), deny(['x'], { payload: 'signed', listeners: ['mqtt'] })]).engine;
  assert.equal(mixed.allows(pump, 'publish', 'x'), true);
});

test('a time condition ends answers when its time comes, and when the clock is set back', () => {
  const { engine, clock } = bare([allow(['x'], { time: { days: ['wed'], from: '12:30', until: '13:00' } }), allow(['y'])]);
  const may = (): boolean => engine.allows(pump, 'publish', 'x');
  const versions = [engine.version];
  assert.equal(may(), false);
  clock.advance(30 * 60_000);
  assert.equal(may(), true);
  versions.push(engine.version);
  clock.advance(29 * 60_000);
  assert.equal(may(), true);
  clock.jump(-45 * 60_000);
  versions.push(engine.version);
  assert.equal(may(), false);
  clock.jump(46 * 60_000);
  versions.push(engine.version);
  assert.equal(may(), false);
  assert.equal(new Set(versions).size, versions.length, 'the version tells');
  const still = bare([allow(['x'])]);
  const before = still.engine.version;
  still.clock.advance(365 * 86_400_000);
  assert.equal(still.engine.version, before);
});

test('conditions of the message come as terms beside the answer', () => {
  const terms = (...statements: Statement[]) => bare(statements).engine.messageTerms(pump, 'publish', 'x');
  assert.equal(terms(allow(['x'])), undefined);
  assert.equal(terms(allow(['x']), allow(['x'], { maxPayloadBytes: 1 })), undefined);
  const small = terms(allow(['x'], { maxPayloadBytes: 100 }), allow(['x'], { guarantee: { min: 2 } }))!;
  assert.deepEqual([small.allows(0, 100), small.allows(0, 101), small.allows(2, 101)], [true, false, true]);
  const denied = terms(allow(['#']), deny(['x'], { guarantee: { max: 0 } }))!;
  assert.deepEqual([denied.allows(0, 1), denied.allows(1, 1)], [false, true]);
  const both = terms(allow(['x'], { maxPayloadBytes: 10 }), deny(['x'], { guarantee: { min: 1, max: 1 } }))!;
  assert.deepEqual([both.allows(0, 10), both.allows(1, 10), both.allows(2, 11)], [true, false, false]);
  const never = bare([deny(['x'], { guarantee: { max: 0 } })]).engine;
  assert.equal(never.allows(pump, 'publish', 'x'), false);
  assert.equal(never.messageTerms(pump, 'publish', 'x'), undefined);
});

test('connecting is free until a statement that allows it binds the principal', async () => {
  const { engine, registry } = await withPolicy({ effect: 'allow', actions: ['connect'], topics: ['${id}'], conditions: { secure: true } });
  registry.policy('acme', 'unbound', { effect: 'allow', actions: ['connect'], principals: { ids: ['nobody'] } });
  registry.role('acme', 'free', 'unbound');
  await engine.ready('acme');
  assert.equal(engine.allows(pump, 'connect', 'pump-7'), true);
  assert.equal(engine.allows(pump, 'connect', 'other'), false);
  assert.equal(engine.allows({ ...pump, access: { ...access, secure: false } }, 'connect', 'pump-7'), false);
  assert.equal(engine.allows({ ...pump, roles: ['free'] }, 'connect', 'other'), true);
  const denying = bare([{ effect: 'deny', actions: ['connect'], conditions: { networks: ['10.0.0.0/8'] } }]).engine;
  assert.equal(denying.allows(pump, 'connect', 'x'), false);
  assert.equal(denying.allows({ ...pump, access: { ...access, remoteAddress: '192.0.2.1' } }, 'connect', 'x'), true);
});

test('roles of management have what is theirs; what is of the node is for its own tenant', async () => {
  const { engine, registry } = world();
  registry.policy('acme', 'all', { effect: 'allow', actions: ['manage'] }).role('acme', 'boss', 'all');
  registry.policy('main', 'all', { effect: 'allow', actions: ['manage'], topics: ['#'] }).role('main', 'boss', 'all');
  for (const tenant of ['main', 'acme']) await engine.ready(tenant);
  const may = (role: string, resource: string, tenant = 'main'): boolean =>
    engine.allows({ tenant, id: 'u', kind: 'user', roles: [role] }, 'manage', resource);
  assert.equal(may('viewer', 'devices:read'), true);
  assert.equal(may('viewer', 'devices:write'), false);
  assert.equal(may('viewer', 'audit:read'), false);
  assert.equal(may('viewer', '$admin'), true);
  assert.equal(may('operator', 'queues:write'), true);
  assert.equal(may('operator', 'users:write'), false);
  assert.equal(may('security-officer', 'authorities:write'), true);
  assert.equal(may('security-officer', 'audit:read'), true);
  assert.equal(may('security-officer', 'queues:write'), false);
  assert.equal(may('boss', 'config:write'), true);
  for (const role of ['admin', 'boss', 'operator']) {
    assert.equal(may(role, 'devices:write', 'acme'), true, role);
    for (const resource of ['status:read', 'tenants:read', 'authorities:write', 'trace:read', '$admin', 'unheard:of']) {
      assert.equal(may(role, resource, 'acme'), false, `${role} of a tenant on ${resource}`);
    }
  }
  assert.equal(may('admin', 'anything:write'), true);
  const trusted = bare([], [{ allow: ['manage'], topics: ['$admin'], users: ['u'] }]).engine;
  const user: Principal = { tenant: 'acme', id: 'u', kind: 'user', roles: [] };
  assert.deepEqual(
    ['$admin', 'status:read', 'metrics:read', 'devices:read'].map((resource) => trusted.allows(user, 'manage', resource)),
    [true, true, true, false],
  );
});

test('answers are forgotten when there are too many, and stay right', async () => {
  const { engine } = bare([allow(['a/${id}/#']), deny(['a/+/no'])]);
  const small = createAuthorization(
    { rules: [], files: [{ name: 'f', document: { version: 1, statements: [allow(['a/${id}/#']), deny(['a/+/no'])] } }] },
    { clock: new ManualClock(), log: silentLog },
    { ...defaultAuthorizationLimits, decisions: 3, combinations: 1 },
  );
  for (let i = 0; i < 50; i++) {
    const who: Principal = { ...pump, id: `p${i % 7}`, roles: i % 2 === 0 ? [] : ['admin'] };
    for (const topic of [`a/p${i % 5}/x`, 'a/p1/no', `a/p${i % 7}`]) {
      assert.equal(small.allows(who, 'publish', topic), engine.allows(who, 'publish', topic));
    }
  }
  const held = [...small.metrics()].find(({ name }) => name === 'heliograph_security_policy_decisions')!.value as number;
  assert.ok(held <= 3, `${held}`);
});

test('an error in new settings leaves what was in force', () => {
  const { engine } = bare([allow(['x'])]);
  const before = engine.version;
  const broken = { rules: [], files: [{ name: 'bad.yaml', document: { version: 2, statements: [] } }] };
  assert.throws(() => engine.reload(broken), { name: 'UserError', where: 'bad.yaml' });
  assert.equal(engine.version, before);
  assert.equal(engine.allows(pump, 'publish', 'x'), true);
  engine.reload({ rules: [] });
  assert.notEqual(engine.version, before);
  assert.equal(engine.allows(pump, 'publish', 'x'), false);
});
