// Whatever takes somebody's right to be here ends its connection on every listener within two seconds, keeps it out from then on, and
// touches nobody else.

import assert from 'node:assert/strict';

import { runCli } from '../cli/run-cli.ts';
import { until } from '../interop/checks.ts';
import { amqpDoors } from './amqp-doors.ts';
import { coapDoors } from './coap-doors.ts';
import { accountFor, httpDoors, mqttDoors, streamDoors, type Door, type Line } from './doors.ts';
import { cutLimitMs, type Account, type World } from './world.ts';

import type { Status } from '../../src/admin/status.ts';
import type { Checks } from '../interop/checks.ts';

type Guest = { readonly door: Door; readonly account: Account; readonly line: Line };

type Cause = {
  readonly name: string;
  readonly doors: readonly Door[];
  /** Whose are hit at once; absent: each is hit for itself. */
  readonly tenant?: string;
  readonly hit: (world: World, account: Account) => Promise<unknown>;
  /** What must be in the audit log afterwards. */
  readonly audit: (account: Account) => string;
  /** By which it comes in again; absent: by nothing. */
  readonly renewed?: (account: Account) => Account;
};

const brokerDoors = [...mqttDoors, ...amqpDoors, ...coapDoors];
const doors = [...brokerDoors, ...httpDoors, ...streamDoors];
const byCertificate = doors.filter(({ proof }) => proof === 'certificate');

const causes: readonly Cause[] = [
  {
    name: 'a certificate that is revoked',
    doors: byCertificate,
    hit: (world, { certified, tenant }) =>
      world.post(`/certificates/${certified!.fingerprint}/revoke`, { reason: 'keyCompromise' }, tenant),
    audit: ({ certified, tenant }) => `certificate.revoke certificate/${tenant}/${certified!.fingerprint}`,
  },
  {
    name: 'a device that is disabled',
    doors,
    hit: (world, { id, tenant }) => world.must('PATCH', `/devices/${id}`, { status: 'disabled' }, tenant),
    audit: ({ id, tenant }) => `device.update device/${tenant}/${id}`,
  },
  {
    name: 'a device that is disabled by command',
    doors: byCertificate,
    async hit(world, { id }) {
      const { code, stderr } = await runCli(['device', 'disable', id, '--data', world.data]);
      assert.equal(code, 0, stderr);
    },
    audit: ({ id, tenant }) => `device.update device/${tenant}/${id}`,
  },
  {
    name: 'a device that is removed',
    // Whom the issuer of a token vouches for is somebody without the registry, too.
    doors: doors.filter(({ proof }) => proof !== 'jwt'),
    hit: (world, { id, tenant }) => world.must('DELETE', `/devices/${id}`, undefined, tenant),
    audit: ({ id, tenant }) => `device.remove device/${tenant}/${id}`,
  },
  {
    name: 'a tenant that is disabled',
    doors: [...brokerDoors, ...httpDoors],
    tenant: 'north',
    hit: (world) => world.must('PATCH', '/tenants/north', { status: 'disabled' }),
    audit: () => 'tenant.update tenant/north',
  },
  {
    name: 'a role of management that is taken away',
    doors: doors.filter(({ listener }) => listener === 'admin' || listener === 'https'),
    hit: (world, { id, tenant }) => world.must('PATCH', `/devices/${id}`, { roles: ['device'] }, tenant),
    audit: ({ id, tenant }) => `device.update device/${tenant}/${id}`,
  },
  {
    name: 'an API token that is removed',
    doors: doors.filter(({ proof }) => proof === 'api-token'),
    hit: (world, { apiTokenId, tenant }) => world.must('DELETE', `/tokens/${apiTokenId}`, undefined, tenant),
    audit: ({ apiTokenId, tenant }) => `token.remove token/${tenant}/${apiTokenId}`,
  },
  {
    name: 'a password that is removed',
    doors: doors.filter(({ proof }) => proof === 'password' || proof === 'scram'),
    hit: (world, { id, tenant }) => world.must('DELETE', `/devices/${id}/password`, undefined, tenant),
    audit: ({ id, tenant }) => `device.password.remove device/${tenant}/${id}`,
  },
  {
    // It is replaced because others know it.
    name: 'a password that is replaced',
    doors: doors.filter(({ proof }) => proof === 'password' || proof === 'scram'),
    hit: (world, { id, tenant, password }) =>
      world.must('PUT', `/devices/${id}/password`, { password: world.secret('a password', `${password}x`) }, tenant),
    audit: ({ id, tenant }) => `device.password.set device/${tenant}/${id}`,
    renewed: (account) => ({ ...account, password: `${account.password}x` }),
  },
  {
    name: 'a pre-shared key that is replaced',
    doors: doors.filter(({ proof }) => proof === 'psk'),
    hit: (world, { id, tenant, psk }) =>
      world.must('PUT', `/devices/${id}/psk`, { key: world.secret('a pre-shared key', `${psk}00`) }, tenant),
    audit: ({ id, tenant }) => `device.psk.set device/${tenant}/${id}`,
    renewed: (account) => ({ ...account, psk: `${account.psk}00` }),
  },
  {
    name: 'a pre-shared key that is removed',
    doors: doors.filter(({ proof }) => proof === 'psk'),
    hit: (world, { id, tenant }) => world.must('DELETE', `/devices/${id}/psk`, undefined, tenant),
    audit: ({ id, tenant }) => `device.psk.remove device/${tenant}/${id}`,
  },
];

async function enter(world: World, list: readonly Door[], tenant?: string): Promise<Guest[]> {
  return Promise.all(
    list.map(async (door): Promise<Guest> => {
      const account = await accountFor(world, door, tenant);
      try {
        return { door, account, line: await door.open(world, account) };
      } catch (error) {
        throw new Error(`${door.name}: ${(error as Error).message}`, { cause: error });
      }
    }),
  );
}

/** Milliseconds from now to the end of the line. */
export async function untilOver(line: Line, what: string): Promise<number> {
  const fromMs = performance.now();
  await within(line.over(), cutLimitMs, `${what}: still there`);
  return performance.now() - fromMs;
}

export async function within<T>(awaited: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([awaited, limit]);
  } finally {
    clearTimeout(timer);
  }
}

export function told(measured: readonly (readonly [string, number])[]): void {
  console.log(`      gone after: ${measured.map(([name, ms]) => `${name} ${ms.toFixed(0)} ms`).join(', ')}`);
}

export async function cuts(checks: Checks, world: World): Promise<void> {
  let others: Guest[] = [];
  /** Sessions of those who stay: of AMQP, each link has one. */
  let there = 0;
  await checks.check('cut: everybody comes in by every door', async () => {
    others = await enter(world, doors);
    for (const { line } of others) await line.works();
    there = await connected(world);
  });
  for (const cause of causes) {
    await checks.check(`cut: ${cause.name} ends every connection within ${cutLimitMs} ms, and nobody else's`, async (context) => {
      const guests = await enter(world, cause.doors, cause.tenant);
      context.after(() => guests.forEach(({ line }) => line.close()));
      for (const { line } of guests) await line.works();
      let hit: Promise<unknown> | undefined;
      const measured = await Promise.all(
        guests.map(async ({ door, account, line }): Promise<readonly [string, number]> => {
          const asked = cause.tenant === undefined ? cause.hit(world, account) : (hit ??= cause.hit(world, account));
          await asked;
          const refusal = refused(world, door, account);
          const ms = await untilOver(line, door.name);
          await refusal;
          return [door.name, ms];
        }),
      );
      told(measured);
      for (const { account, door } of guests) {
        world.done.add(cause.audit(account));
        if (cause.renewed === undefined) continue;
        const again = await door.open(world, cause.renewed(account));
        await again.works();
        again.close();
      }
      for (const { line, door } of others) await line.works().catch((error: unknown) => assert.fail(`${door.name}: ${String(error)}`));
      // Those that left by themselves before may still be on their way out.
      await until(async () => (await connected(world)) === there);
    });
  }
  await checks.check('cut: at the end everybody else is still there, by every door', async () => {
    assert.ok(others.length === doors.length);
    for (const { line } of others) {
      await line.works();
      line.close();
    }
  });
}

/** At once: not by a time that runs out. */
export async function refused(world: World, door: Door, account: Account): Promise<void> {
  const fromMs = performance.now();
  let line: Line;
  try {
    line = await door.open(world, account);
  } catch {
    const ms = performance.now() - fromMs;
    assert.ok(ms < cutLimitMs, `${door.name}: refused only after ${ms.toFixed(0)} ms`);
    return;
  }
  line.close();
  assert.fail(`${door.name}: came in again`);
}

async function connected(world: World): Promise<number> {
  return ((await world.must('GET', '/status')) as Status).sessions.connected;
}
