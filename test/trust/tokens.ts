// Tokens of an issuer that are wrong in every way there is, and a webhook that does not answer: nobody comes in by them.

import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';

import { Peer } from '../process/peer.ts';
import { until } from '../interop/checks.ts';
import { within } from './cuts.ts';
import { ask, mqttDoors } from './doors.ts';
import { Issuer } from './issuer.ts';

import type { Duplex } from 'node:stream';
import type { Checks } from '../interop/checks.ts';
import type { ListenerName, World } from './world.ts';

type Bad = { readonly name: string; readonly reason: string; readonly make: (issuer: Issuer) => string };

const second = (): number => Math.floor(Date.now() / 1000);

/** A clock may be 30 s off. */
const bad: readonly Bad[] = [
  {
    name: 'signed by nobody (none)',
    reason: 'algorithm-not-allowed',
    make: (by) => by.token({ sub: 'x' }, { header: { alg: 'none' }, signature: '' }),
  },
  {
    name: 'signed with a shared secret (HS256)',
    reason: 'algorithm-not-allowed',
    make: (by) => by.token({ sub: 'x' }, { header: { alg: 'HS256' } }),
  },
  { name: 'for somebody else', reason: 'wrong-audience', make: (by) => by.token({ sub: 'x', aud: 'another' }) },
  { name: 'of another issuer', reason: 'unknown-issuer', make: (by) => by.token({ sub: 'x', iss: 'https://login.elsewhere.example' }) },
  { name: 'signed by another key', reason: 'bad-signature', make: (by) => by.token({ sub: 'x' }, { key: Issuer.strangersKey() }) },
  {
    name: 'with a key that its issuer does not have',
    reason: 'unknown-key',
    make: (by) => by.token({ sub: 'x' }, { header: { kid: 'other' } }),
  },
  { name: 'that has ended, clocks considered', reason: 'expired-token', make: (by) => by.token({ sub: 'x', exp: second() - 40 }) },
  { name: 'that does not count yet, clocks considered', reason: 'not-yet-valid', make: (by) => by.token({ sub: 'x', nbf: second() + 60 }) },
  { name: 'without an end', reason: 'no-expiry', make: (by) => by.token({ sub: 'x', exp: undefined }) },
  { name: 'for a tenant that the issuer has no say in', reason: 'wrong-tenant', make: (by) => by.token({ sub: 'x', tenant: 'elsewhere' }) },
  { name: 'that names nobody', reason: 'unusable-id', make: (by) => by.token({}) },
];

/** The reason of CONNACK. `from`: an address of loopback, because failures of one address in a minute are told together. */
async function answered(world: World, listener: ListenerName, from: string, password: string): Promise<number> {
  const socket: Duplex = connectTcp({ port: world.port(listener), host: '127.0.0.1', localAddress: from });
  const peer = new Peer(socket, 5);
  try {
    peer.send({ type: 'connect', clientId: world.name('stranger'), username: 'token', password });
    return (await peer.next('connack')).reason!;
  } finally {
    peer.drop();
  }
}

function counted(world: World, reason: string): Promise<number> {
  return world.metrics().then((metrics) => {
    try {
      return metrics.sum('heliograph_security_authentications_total', { method: 'jwt', reason });
    } catch {
      return 0;
    }
  });
}

export async function tokens(checks: Checks, world: World): Promise<void> {
  const door = mqttDoors.find(({ name }) => name === 'mqtt by token')!;
  await checks.check('token: a good one is taken, also by a clock that is a little off', async () => {
    const account = await world.account();
    for (const claims of [{}, { exp: second() - 10 }, { nbf: second() + 10 }]) {
      const jwt = world.issuer.token({ sub: account.id, tenant: 'main', ...claims });
      const line = await door.open(world, { ...account, jwt });
      await line.works();
      line.close();
    }
  });
  for (const [i, { name, reason, make }] of bad.entries()) {
    await checks.check(`token: one ${name} is refused, counted and told`, async () => {
      const before = await counted(world, reason);
      const from = `127.0.7.${i + 1}`;
      const token = world.secret('a wrong token', make(world.issuer));
      // Bad user name or password: no word of why.
      assert.equal(await answered(world, 'token', from, token), 0x86);
      assert.equal(await counted(world, reason), before + 1);
      // It is written behind what it tells of.
      const isTold = async (): Promise<boolean> => {
        const entries = await world.audited({ action: 'authentication.fail' });
        return entries.some((entry) => entry.from.startsWith(from) && entry.details?.['reason'] === reason);
      };
      await within(until(isTold), 5000, 'the audit log does not tell of it');
      const head = { path: '/api/v1/devices', headers: { authorization: `Bearer ${token}` } };
      const status = await ask(false, { host: '127.0.0.1', port: world.port('admin'), localAddress: from }, head);
      // What no issuer has signed may be a password that the webhook knows, which does not answer.
      assert.ok([401, 503].includes(status), String(status));
    });
  }
  await checks.check('webhook: one that does not answer lets nobody in, and holds up nobody else', async () => {
    const account = await world.account({ has: ['password'] });
    const before = world.issuer.unanswered;
    const waiting = Array.from({ length: 5 }, (_, i) => answered(world, 'hook', `127.0.8.${i + 1}`, account.password));
    const line = await mqttDoors[0]!.open(world, account);
    await line.works();
    line.close();
    // Server busy.
    for (const reason of await within(Promise.all(waiting), 5000, 'no answer')) assert.equal(reason, 0x89);
    assert.equal(world.issuer.unanswered, before + 5, 'it was asked');
  });
}
