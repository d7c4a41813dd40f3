// Run by run.ts, which says where PostgreSQL is.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ManualClock } from '../../src/base/clock.ts';
import { PostgresRegistry, type PostgresRegistryOptions } from '../../src/registry/postgres/postgres-registry.ts';
import type { Change } from '../../src/registry/registry.ts';
import { migrations } from '../../src/registry/postgres/migrations.ts';
import { fixtureSql, holdsFixture } from '../contracts/registry/fixture.ts';
import { testRegistry } from '../contracts/registry.ts';
import { good, refused } from '../contracts/registry/place.ts';
import { PostgresServer } from './server.ts';

const binaries = process.env['HELIOGRAPH_POSTGRES'];
assert.ok(binaries !== undefined, 'npm run registry:postgres starts this');

let server: PostgresServer;
let schemas = 0;

before(async () => {
  server = await PostgresServer.start(binaries);
});
after(() => server.remove());

function newSchema(): string {
  return `registry_${++schemas}`;
}

function open(
  schema: string,
  more: Partial<PostgresRegistryOptions> = {},
  url = server.url(),
): Promise<ReturnType<typeof good<PostgresRegistry>>> {
  const connection = { url, schema, connections: 3 };
  return PostgresRegistry.open({ connection, clock: new ManualClock(), pollMs: 20, ...more }).then(good);
}

testRegistry(
  'the registry in PostgreSQL',
  async () => {
    const schema = newSchema();
    return {
      open: (clock) => open(schema, { clock }),
      remove: async () => void (await server.run(`DROP SCHEMA ${schema} CASCADE`)),
    };
  },
  15,
);

/** Looks again and again, but not for ever: the server must be stopped also after a failure. */
async function until(condition: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 20_000; !condition();) {
    assert.ok(performance.now() < endMs, 'waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('PostgreSQL itself', () => {
  test('a change by another node is told by a notification, without looking', async () => {
    const schema = newSchema();
    const [one, other] = [await open(schema, { pollMs: 3_600_000 }), await open(schema)];
    const changes: Change[] = [];
    one.subscribe((more) => void changes.push(...more));
    good(await other.create('device', 'main', 'first', {}));
    await until(() => changes.at(-1)?.id === 'first');
    good(await other.create('device', 'main', 'second', {}));
    await until(() => changes.at(-1)?.id === 'second');
    await Promise.all([one.close(), other.close()]);
  });

  test('while the server is away the registry says so; afterwards it works, and nothing of what changed is missed', async () => {
    const schema = newSchema();
    const registry = await open(schema);
    const changes: Change[] = [];
    registry.subscribe((more) => void changes.push(...more));
    good(await registry.create('device', 'main', 'a', {}));
    await server.stop();
    refused(await registry.get('device', 'main', 'a'), 'unavailable');
    refused(await registry.create('device', 'main', 'b', {}), 'unavailable');
    refused(
      await PostgresRegistry.open({ connection: { url: server.url(), schema, connections: 1 }, clock: new ManualClock() }),
      'unavailable',
    );
    await server.start();
    const other = await open(schema);
    good(await other.update('device', 'main', 'a', { status: 'disabled' }));
    await until(() => changes.at(-1)?.what === 'updated');
    assert.equal(good(await registry.get('device', 'main', 'a'))?.status, 'disabled');
    good(await registry.create('device', 'main', 'b', {}));
    await Promise.all([registry.close(), other.close()]);
  });

  test('nodes that start together make one registry', async () => {
    const schema = newSchema();
    const registries = await Promise.all(Array.from({ length: 4 }, () => open(schema)));
    for (const registry of registries) assert.equal(good(await registry.get('tenant', '$system', 'main'))?.id, 'main');
    await Promise.all(registries.map((registry) => registry.close()));
  });

  test('a registry of a later version is left alone, also by who had it open before', async () => {
    const schema = newSchema();
    const registry = await open(schema);
    await server.run(`UPDATE ${schema}.registry_state SET schema_version = 99`);
    refused(await registry.create('device', 'main', 'a', {}), 'later-version');
    await registry.close();
    refused(
      await PostgresRegistry.open({ connection: { url: server.url(), schema, connections: 1 }, clock: new ManualClock() }),
      'later-version',
    );
  });

  test('who is not let in is told, without the password', async () => {
    const url = server.url('wrong-secret');
    const opened = await PostgresRegistry.open({ connection: { url, schema: newSchema(), connections: 1 }, clock: new ManualClock() });
    refused(opened, 'unavailable');
    assert.ok(!opened.ok && !opened.error.message.includes('wrong-secret'), JSON.stringify(opened));
  });
});

describe('earlier schemas in PostgreSQL', () => {
  for (let version = 1; version <= migrations.length; version++) {
    test(`a registry of schema ${version} is read, entry for entry, and goes on`, async () => {
      const schema = newSchema();
      await server.run(
        fixtureSql(version, 'postgres').replaceAll('heliograph.', `${schema}.`).replace('SCHEMA heliograph', `SCHEMA ${schema}`),
      );
      const registry = await open(schema);
      await holdsFixture(registry, version);
      await registry.close();
    });
  }
});
