// What holds for every route: who may not is refused before anything is looked at, another tenant is not there, what a schema does not
// know is refused, and a refused change is on record.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { managedResources } from './permission.ts';
import type { RouteSpec } from './route.ts';
import { routesAsData, TestApi } from './testing/test-api.ts';

const hex = 'a'.repeat(64);

/** A path that fits the schemas of its parameters. */
function pathOf({ path, params }: RouteSpec): string {
  const wantsHex = JSON.stringify(params?.properties ?? {}).includes('[0-9a-f]{64}');
  return path.replaceAll(/\{\w+\}/g, wantsHex ? hex : 'some');
}

const isFile = (spec: RouteSpec): boolean => spec.takes !== undefined;
const fileOf = (spec: RouteSpec) => (isFile(spec) ? { file: '', headers: { 'content-type': spec.takes![0]! } } : {});

test('whoever has no right is refused, and it is on record', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('main/nobody', []);
  for (const spec of routesAsData()) {
    api.events.length = 0;
    const answer = await api.ask(spec.method, pathOf(spec), { as: 'main/nobody', ...fileOf(spec) });
    assert.equal(answer.status, 403, spec.operation);
    assert.ok(answer.body.detail.includes(spec.permission), spec.operation);
    assert.deepEqual(
      api.events.map(({ outcome, actor }) => [outcome, actor]),
      [['refused', { kind: 'principal', tenant: 'main', id: 'nobody' }]],
      spec.operation,
    );
  }
});

test('each right opens its own routes only', async (t) => {
  const api = await TestApi.open(t);
  const all = managedResources.flatMap((resource) => [`${resource}:read`, `${resource}:write`] as const);
  for (const spec of routesAsData()) {
    const others = all.filter((permission) => permission !== spec.permission && !permission.startsWith('tenants:'));
    api.rights.set('main/others', others);
    const { status } = await api.ask(spec.method, pathOf(spec), { as: 'main/others', ...fileOf(spec) });
    assert.equal(status, 403, spec.operation);
  }
});

test('who is not known gets nothing', async (t) => {
  const api = await TestApi.open(t);
  for (const spec of routesAsData()) {
    const { status, headers } = await api.ask(spec.method, pathOf(spec), { as: 'main/stranger', ...fileOf(spec) });
    assert.equal(status, 401, spec.operation);
    assert.match(headers['www-authenticate'] as string, /^Basic/);
  }
});

test('for who has every right in a tenant, others are not there, and neither is the node', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('acme/boss', '*');
  for (const spec of routesAsData()) {
    const answer = await api.ask(spec.method, `${pathOf(spec)}?tenant=main`, { as: 'acme/boss', ...fileOf(spec) });
    assert.equal(answer.status, spec.scope === 'tenant' ? 404 : 403, spec.operation);
    if (spec.scope === 'tenant') assert.equal(answer.body.code, 'unknown-tenant');
  }
});

test('what a schema does not know is refused', async (t) => {
  const api = await TestApi.open(t);
  for (const spec of routesAsData()) {
    const query = await api.ask(spec.method, `${pathOf(spec)}?nonsense=1`, fileOf(spec));
    assert.deepEqual([query.status, query.body?.code], [422, 'invalid'], spec.operation);
    if (spec.body === undefined || spec.operation.includes('olicy')) continue;
    const body = await api.ask(spec.method, pathOf(spec), { body: { nonsense: 1 } });
    assert.equal(body.status, 422, spec.operation);
  }
});

test('routes have one name each, and say whom they change', () => {
  const specs = routesAsData();
  assert.equal(new Set(specs.map(({ operation }) => operation)).size, specs.length);
  for (const { operation, method, permission, audit } of specs) {
    // Questions that need a body, or a look at everything, change nothing.
    const asks = ['testPolicies', 'verifyAudit'].includes(operation);
    assert.equal(permission.endsWith(':read'), method === 'GET' || asks, operation);
    if (method !== 'GET' && !asks) assert.ok(audit, operation);
  }
});
