// Every route for every role of management, in the first tenant and in another one, on the policies that are built in.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { createAuthorization } from '../../security/policy/authorization.ts';
import { managedResources, type ManagedResource, type Permission } from './permission.ts';
import type { RouteSpec } from './route.ts';
import { routesAsData, TestApi } from './testing/test-api.ts';

const everyPermission = managedResources.flatMap((name): Permission[] => [`${name}:read`, `${name}:write`]);

/** What each may change; all may read everything, but for the audit log. */
const writes: Readonly<Record<string, readonly ManagedResource[]>> = {
  none: [],
  device: [],
  viewer: [],
  operator: ['sessions', 'queues', 'retained', 'connections', 'devices'],
  'security-officer': ['certificates', 'enrolments', 'policies', 'roles', 'users', 'applications', 'authorities', 'audit', 'approvals'],
  admin: managedResources,
};
const nodeOnly: readonly ManagedResource[] = [
  'status',
  'metrics',
  'trace',
  'listeners',
  'config',
  'tenants',
  'authorities',
  'audit',
  'approvals',
];

function mayByTable(role: string, tenant: string, permission: Permission): boolean {
  const [resource, access] = permission.split(':') as [ManagedResource, string];
  if (role === 'none' || role === 'device') return false;
  if (tenant !== 'main' && nodeOnly.includes(resource)) return false;
  if (access === 'write') return writes[role]!.includes(resource);
  return resource !== 'audit' || role === 'security-officer' || role === 'admin';
}

async function opened(t: TestContext): Promise<TestApi> {
  const api = await TestApi.open(t);
  await api.ask('POST', '/tenants', { body: { id: 'acme' } });
  const authorization = createAuthorization({ rules: [] }, { clock: new ManualClock(0), log: silentLog });
  t.after(() => authorization.close());
  for (const role of Object.keys(writes)) {
    for (const tenant of ['main', 'acme']) {
      const who = { tenant, id: role, kind: 'user', roles: role === 'none' ? [] : [role] } as const;
      const rights = everyPermission.filter((permission) => authorization.allows(who, 'manage', permission));
      api.rights.set(`${tenant}/${role}`, rights);
    }
  }
  return api;
}

function pathOf({ path, params }: RouteSpec): string {
  const wantsHex = JSON.stringify(params?.properties ?? {}).includes('[0-9a-f]{64}');
  return path.replaceAll(/\{\w+\}/g, wantsHex ? 'a'.repeat(64) : 'some');
}

test('each role opens what it is for, in its own tenant, and nothing else', async (t) => {
  const api = await opened(t);
  for (const spec of routesAsData()) {
    const file = spec.takes === undefined ? {} : { file: '', headers: { 'content-type': spec.takes[0]! } };
    for (const role of Object.keys(writes)) {
      for (const [home, asked] of [
        ['main', 'main'],
        ['acme', 'acme'],
        ['acme', 'main'],
        ['main', 'acme'],
      ] as const) {
        // An unknown parameter keeps it from being done: who comes so far was let in.
        const answer = await api.ask(spec.method, `${pathOf(spec)}?tenant=${asked}&nonsense=1`, { as: `${home}/${role}`, ...file });
        const access = spec.method === 'GET' ? 'read' : 'write';
        const isSystemWide = home === 'main' && mayByTable(role, home, `tenants:${access}`);
        const may =
          mayByTable(role, home, spec.permission) &&
          (spec.scope !== 'system' || isSystemWide) &&
          (spec.scope !== 'node' || home === 'main') &&
          (home === asked || isSystemWide);
        const what = `${spec.operation} as ${role} of ${home} in ${asked}: ${answer.status}`;
        if (may) assert.equal(answer.status, 422, what);
        else assert.ok([403, 404].includes(answer.status), what);
      }
    }
  }
});

test('each refusal of what would change something is on record, whatever is wrong with it', async (t) => {
  const api = await TestApi.open(t);
  for (const spec of routesAsData()) {
    if (spec.audit === undefined) continue;
    const file = spec.takes === undefined ? {} : { file: '', headers: { 'content-type': spec.takes[0]! } };
    api.events.length = 0;
    await api.ask(spec.method, `${pathOf(spec)}?nonsense=1`, file);
    assert.deepEqual(
      api.events.map(({ action, outcome }) => [action, outcome]),
      [[spec.audit.action, 'refused']],
      spec.operation,
    );
  }
});
