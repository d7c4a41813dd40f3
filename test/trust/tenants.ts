// Two tenants with the same names for everything: what one does, the other does not see.

import assert from 'node:assert/strict';

import { mqttDoors, type MqttLine } from './doors.ts';
import type { Account, World } from './world.ts';

import type { Checks } from '../interop/checks.ts';

const tenants = ['east', 'west'] as const;
type Twin = { readonly account: Account; readonly line: MqttLine };

/** Every message that is there when a round trip is over. */
async function seen({ line, account }: Twin): Promise<string[]> {
  const end = `end of ${account.tenant}`;
  assert.equal(await line.peer.publish(line.topic, end, 1), 0);
  const found: string[] = [];
  for (;;) {
    const payload = String((await line.peer.next('publish')).payload);
    if (payload === end) return found;
    found.push(payload);
  }
}

export async function isolation(checks: Checks, world: World): Promise<void> {
  for (const door of mqttDoors) {
    await checks.check(
      `tenants: the same device, topics and queues in two of them are four eyes apart on ${door.name}`,
      async (context) => {
        const id = world.name('twin');
        const role = `${id}-all`;
        const document = {
          version: 1,
          statements: [{ effect: 'allow', actions: ['publish', 'subscribe', 'consume', 'retain'], topics: ['#', '$queue/#'] }],
        };
        const twins: Twin[] = [];
        for (const tenant of tenants) {
          await world.post('/policies', { id: role, document }, tenant);
          await world.post('/roles', { id: role, policies: [role] }, tenant);
          const account = await world.account({ tenant, roles: [role, 'device'], has: ['password', 'psk', 'certificate'] }, id);
          twins.push({ account, line: (await door.open(world, account)) as MqttLine });
        }
        context.after(() => twins.forEach(({ line }) => line.close()));
        const [east, west] = twins as [Twin, Twin];
        for (const { line } of twins) assert.ok(!line.peer.ended, 'the same client id in two tenants is two clients');
        for (const { line } of twins) await line.peer.subscribe('#', 1);
        for (const { line } of twins) await line.peer.subscribe(`$share/group/plant/${id}/#`, 1);
        for (const { line } of twins) await line.peer.subscribe(`$queue/${id}`, 1);
        for (let i = 0; i < 10; i++) {
          assert.ok((await east.line.peer.publish(`plant/${id}/${i}`, 'of the east', 1)) < 0x80);
          assert.ok((await east.line.peer.publish(`plant/${id}/kept`, 'kept in the east', 1, { retain: true })) < 0x80);
          assert.ok((await east.line.peer.publish(`$queue/${id}`, 'queued in the east', 1)) < 0x80);
        }
        assert.deepEqual(await seen(west), []);
        assert.ok((await seen(east)).length >= 40);
        await west.line.peer.subscribe(`plant/${id}/kept`, 1);
        assert.deepEqual(await seen(west), [], 'nothing is retained for the west');
        for (const what of ['retained', 'queues', 'sessions'] as const) {
          const [there, here] = await Promise.all(tenants.map((tenant) => world.must('GET', `/${what}?limit=100`, undefined, tenant)));
          const names = (page: unknown): string => JSON.stringify((page as { entries: unknown[] }).entries);
          assert.ok(names(there).includes(id), `${what} of the east`);
          if (what === 'retained') assert.ok(!names(here).includes(id), `${what} of the west`);
          assert.ok(!/"tenant":"east"/.test(names(here)), `${what} of the west`);
        }
        await world.must('PATCH', `/devices/${id}`, { status: 'disabled' }, 'east');
        world.done.add(`device.update device/east/${id}`);
        await east.line.over();
        await west.line.works();
        await assert.rejects(door.open(world, east.account));
      },
    );
  }
  await checks.check('tenants: who manages one sees and changes nothing of the other', async () => {
    const manager = await world.account({ tenant: 'east', roles: ['admin'], has: ['api-token'] });
    const victim = await world.account({ tenant: 'west' });
    const headers = { authorization: `Bearer ${manager.apiToken}`, 'content-type': 'application/json' };
    const ask = async (method: string, path: string): Promise<number> => {
      const body = method === 'PATCH' ? { body: JSON.stringify({ status: 'disabled' }) } : {};
      return (await fetch(`http://127.0.0.1:${world.port('admin')}/api/v1${path}`, { method, headers, ...body })).status;
    };
    assert.equal(await ask('GET', '/devices'), 200);
    assert.equal(await ask('GET', `/devices/${victim.id}`), 404);
    for (const path of ['/devices?tenant=west', `/devices/${victim.id}?tenant=west`, '/sessions?tenant=west', '/audit', '/tenants/west']) {
      assert.ok([403, 404].includes(await ask('GET', path)), path);
    }
    assert.ok([403, 404].includes(await ask('PATCH', `/devices/${victim.id}?tenant=west`)));
    assert.ok([403, 404].includes(await ask('PATCH', '/tenants/west')));
    assert.equal(((await world.must('GET', `/devices/${victim.id}`, undefined, 'west')) as { status: string }).status, 'active');
  });
}
