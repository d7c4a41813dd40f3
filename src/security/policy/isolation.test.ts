// Looks for any way from one tenant into another: whatever their policies grant, whatever their names are, with messages,
// retained messages, wills, shared and named queues, crashes, and what is told to operators.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { TestBroker, message, assertBooks } from '../../broker/testing/test-broker.ts';
import type { TestConsumer } from '../../broker/testing/test-broker.ts';
import type { Registry } from '../../registry/registry.ts';
import type { Principal, Security } from '../security.ts';
import { createAuthorization } from './authorization.ts';
import type { Authorization } from './authorization.ts';
import { isOfNode, managedResources } from './management-resources.ts';
import type { Statement } from './policy-document.ts';

// Names that could be taken for each other where they are put together carelessly.
const tenants = ['main', 'a', 'a-b', 'inbox'];
const names = ['p', 'b', 'main'];
const topics = ['x', 'x/y', 'a/x', 'main/x', 'dev/p/x', '$queue/q', '$queue/a'];
const filters = [...topics, '#', '+/#', 'x/#', '+', '$share/g/#', '$share/g/x', '$SYS/#', '${tenant}/#', 'main/#', 'a/#'];

const everything: Statement = {
  effect: 'allow',
  actions: ['publish', 'subscribe', 'consume', 'retain'],
  topics: ['#', '$queue/#', '$SYS/#'],
};

/** Each tenant has written policies of its own, as wide as they can be. */
const statement = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Statement>({ effect: 'deny', actions: ['publish'], topics: ['x'] }) },
  fc.constant<Statement>({ effect: 'allow', actions: ['manage'] }),
  fc.constant<Statement>({ effect: 'allow', actions: ['manage'], topics: ['#', '$admin'], principals: { tenants: ['main'] } }),
  fc.constant<Statement>({ effect: 'allow', actions: ['publish', 'subscribe'], topics: ['${tenant}/#', 'main/#'] }),
);
const policies = fc.tuple(
  ...tenants.map(() =>
    fc
      .tuple(fc.integer({ min: 0, max: 4 }), fc.array(statement, { maxLength: 4 }))
      .map(([n, more]) => (n > 0 ? [everything, ...more] : more)),
  ),
);
const roles = fc.constantFrom(['role'], ['admin'], ['role', 'security-officer', 'operator']);
const who = fc.record({ tenant: fc.constantFrom(...tenants), id: fc.constantFrom(...names), roles });

type Step =
  | { readonly do: 'connect'; readonly who: Who; readonly client: string; readonly durable: boolean; readonly will: string | undefined }
  | { readonly do: 'subscribe'; readonly client: number; readonly filter: string; readonly guarantee: 0 | 1 | 2 }
  | { readonly do: 'publish'; readonly client: number; readonly topic: string; readonly retain: boolean; readonly guarantee: 0 | 1 | 2 }
  | { readonly do: 'leave'; readonly client: number; readonly withWill: boolean }
  | { readonly do: 'crash' };
type Who = { readonly tenant: string; readonly id: string; readonly roles: readonly string[] };

const client = fc.nat({ max: 20 });
const guarantee = fc.constantFrom(0 as const, 1 as const, 2 as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('connect' as const),
      who,
      client: fc.constantFrom(...names, 'a/p'),
      durable: fc.boolean(),
      will: fc.option(fc.constantFrom(...topics), { nil: undefined }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('subscribe' as const), client, filter: fc.constantFrom(...filters), guarantee }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      client,
      topic: fc.constantFrom(...topics),
      retain: fc.boolean(),
      guarantee,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), client, withWill: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ do: 'crash' as const }) },
);

async function engineOf(written: readonly (readonly Statement[])[]): Promise<Authorization> {
  const list = async (kind: string, tenant: string) => {
    const document = JSON.stringify({ version: 1, statements: written[tenants.indexOf(tenant)] });
    const entry = kind === 'role' ? { id: 'role', tenant, policies: ['policy'] } : { id: 'policy', tenant, version: 1, document };
    return { ok: true, value: { entries: [entry], next: undefined } };
  };
  const registry = { list, subscribe: () => () => {} } as unknown as Pick<Registry, 'list' | 'subscribe'>;
  const engine = createAuthorization({ rules: [] }, { clock: new ManualClock(), log: silentLog, registry });
  for (const tenant of tenants) assert.equal(await engine.ready(tenant), true);
  return engine;
}

function securityOf(engine: Authorization): Security {
  return {
    version: 1,
    authenticate: (_credentials, answer) => answer({ ok: false, reason: 'refused' }),
    startExchange: () => undefined,
    allows: (principal, action, topic) => engine.allows(principal, action, topic),
    messageTerms: (principal, action, topic) => engine.messageTerms(principal, action, topic),
  };
}

/** A broker with its connections, and what each tenant may see. */
class World {
  readonly security: Security;
  readonly clients: { readonly consumer: TestConsumer; readonly tenant: string }[] = [];
  readonly seen = { deliveries: 0, shared: 0, wills: 0 };
  broker!: TestBroker;

  constructor(security: Security) {
    this.security = security;
  }

  async run(steps: readonly Step[]): Promise<void> {
    this.broker = await TestBroker.start({ security: this.security, shards: 2 });
    for (const one of steps) await this.#step(one);
    this.broker.settle();
    this.#look();
  }

  async #step(one: Step): Promise<void> {
    if (one.do === 'connect') return this.#connect(one);
    if (one.do === 'crash') {
      this.#look();
      this.broker = await this.broker.restart({ security: this.security, shards: 2 });
      this.clients.length = 0;
      return;
    }
    const { consumer, tenant } = this.clients[one.client % this.clients.length] ?? {};
    if (consumer?.session === undefined) return;
    if (one.do === 'subscribe') consumer.subscribe(one.filter, one.guarantee);
    else if (one.do === 'publish') consumer.publish(one.topic, tenant!, one.guarantee, { retain: one.retain });
    else consumer.disconnect(one.withWill);
    if (one.do === 'leave' && one.withWill) this.seen.wills++;
  }

  #connect({ who: { tenant, id, roles: granted }, client: clientId, durable, will }: Extract<Step, { do: 'connect' }>): void {
    const principal: Principal = { tenant, id, kind: 'application', roles: granted };
    const before = new Map(this.clients.map(({ consumer }) => [consumer, consumer.closed]));
    const consumer = this.broker.connect(clientId, {
      principal,
      sessionExpiryMs: durable ? 3_600_000 : 0,
      will: will === undefined ? undefined : { message: message(will, tenant, 1, { retain: true }), delayMs: 0 },
    });
    for (const other of this.clients) {
      if (other.tenant !== tenant)
        assert.equal(other.consumer.closed, before.get(other.consumer), 'a session is taken over by its tenant only');
    }
    this.clients.push({ consumer, tenant });
  }

  /** Everything that was delivered, waits, is retained or shown belongs to who sees it. */
  #look(): void {
    for (const { consumer, tenant } of this.clients) {
      for (const { payload, topic } of consumer.deliveries) {
        assert.equal(payload, tenant, `${tenant} is given ${topic} of ${payload}`);
        this.seen.deliveries++;
      }
    }
    const management = this.broker.broker.management;
    for (const tenant of tenants) {
      for (const { tenant: owner } of management.sessions(tenant, { limit: 1000 }).entries) assert.equal(owner, tenant);
      for (const { tenant: owner, kind } of management.queues(tenant, { limit: 1000 }).entries) {
        assert.equal(owner, tenant);
        if (kind !== 'inbox') this.seen.shared++;
      }
    }
    assertBooks(this.broker);
  }
}

/** What operators are shown of queues and retained messages. */
async function assertContents({ broker }: World): Promise<void> {
  const management = broker.broker.management;
  const payloadOf = (each: { payload(): Uint8Array }): string => new TextDecoder().decode(each.payload());
  for (const tenant of tenants) {
    for (const { name } of management.queues(tenant, { limit: 1000 }).entries) {
      const found = await broker.until(management.browse(tenant, name, { limit: 1000 }));
      if (found.ok) for (const each of found.value.entries) assert.equal(payloadOf(each.message), tenant, `in ${name} of ${tenant}`);
    }
    for (const filter of ['#', '$queue/#']) {
      const { entries } = await broker.until(management.retained(tenant, filter, { limit: 1000 }));
      for (const each of entries) assert.equal(payloadOf(each), tenant, `${each.topic} retained in ${tenant}`);
    }
  }
}

test('nothing of one tenant reaches another, whatever their policies say', async () => {
  const seen = { deliveries: 0, shared: 0, wills: 0 };
  await fc.assert(
    fc.asyncProperty(policies, fc.array(step, { minLength: 40, maxLength: 80 }), async (written, steps) => {
      const world = new World(securityOf(await engineOf(written)));
      await world.run(steps);
      await assertContents(world);
      for (const key of ['deliveries', 'shared', 'wills'] as const) seen[key] += world.seen[key];
    }),
    { numRuns: 100 },
  );
  assert.ok(seen.deliveries > 50 && seen.shared > 20 && seen.wills > 10, JSON.stringify(seen));
});

test('no policy of a tenant opens what is of the node, or the tenant beside it', async () => {
  const resources = [...managedResources, '$admin', 'unheard:of', 'devices', '#'];
  await fc.assert(
    fc.asyncProperty(policies, who, fc.constantFrom(...resources), async (written, { tenant, id, roles: granted }, resource) => {
      const engine = await engineOf(written);
      const principal: Principal = { tenant, id, kind: 'user', roles: granted };
      const isAllowed = engine.allows(principal, 'manage', resource);
      // Metrics, traces, the list of tenants and the audit log tell of everybody: they are the node's.
      if (tenant !== 'main' && isOfNode(resource)) assert.equal(isAllowed, false, `${tenant} manages ${resource}`);
      // What the others have written changes nothing.
      const alone = await engineOf(written.map((own, i) => (tenants[i] === tenant ? own : [])));
      for (const action of ['publish', 'subscribe', 'manage'] as const) {
        for (const topic of [...topics, resource]) {
          assert.equal(engine.allows(principal, action, topic), alone.allows(principal, action, topic), `${action} ${topic}`);
        }
      }
    }),
    { numRuns: 100 },
  );
});
