// What must not get through a TLS handshake, made by openssl: each is refused, counted by its reason, told in the audit log, and
// nobody else notices. And the authority of somebody else as a whole: trusted once it is proved, gone when it is retired.

import assert from 'node:assert/strict';
import { join } from 'node:path';

import { until } from '../interop/checks.ts';
import { refused, told, untilOver, within } from './cuts.ts';
import { accountFor, mqttDoors, overTls, overWebSocket, tlsOptions, type Door, type Line } from './doors.ts';
import { OpensslAuthority } from './openssl-authority.ts';

import type { ConnectionOptions } from 'node:tls';
import type { AuthorityView } from '../../src/security/pki/pki.ts';
import type { CertificateFault } from '../../src/security/security.ts';
import type { Checks } from '../interop/checks.ts';
import type { Account, ListenerName, World } from './world.ts';

/** A shown certificate and the reason for which it is refused. */
type Bad = { readonly name: string; readonly fault: CertificateFault; readonly shown: { readonly key: string; readonly cert: string } };

const listeners = ['mqtts', 'amqps', 'wss', 'est', 'https'] as const satisfies readonly ListenerName[];

/** Until the broker has let it in, or has not: with TLS 1.3 the client is done before its certificate is judged. */
async function shake(world: World, listener: ListenerName, options: ConnectionOptions): Promise<void> {
  const tls = { ...tlsOptions(world), ...options };
  if (listener === 'wss') {
    const { host: _, ...rest } = tls;
    (await overWebSocket(`wss://localhost:${world.port('wss')}/mqtt`, rest)).destroy();
    return;
  }
  const socket = await overTls(world.port(listener), tls);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('ended')));
    socket.once('data', () => resolve());
    // MQTT answers a ping before CONNECT by closing, too: a CONNECT without a proof is answered with a CONNACK.
    const connect = Buffer.from('101000044d51545405020000000003666f6f', 'hex');
    socket.write(listener === 'mqtts' ? connect : 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  });
  socket.destroy();
}

function isTaken(world: World, listener: ListenerName, options: ConnectionOptions): Promise<boolean> {
  return shake(world, listener, options).then(
    () => true,
    () => false,
  );
}

async function makeBad(
  world: World,
): Promise<{ readonly plant: OpensslAuthority; readonly silent: OpensslAuthority; readonly bad: Bad[] }> {
  const plant = await OpensslAuthority.make(join(world.folder, 'plant'), 'plant');
  // Nobody can be asked what it has revoked.
  const silent = await OpensslAuthority.make(join(world.folder, 'silent'), 'silent');
  const strangers = await OpensslAuthority.make(join(world.folder, 'strangers'), 'strangers');
  const own = await world.account({ has: ['certificate'] });
  await world.post(`/certificates/${own.certified!.fingerprint}/revoke`, {});
  await plant.issue('issuing', { as: 'issuing' });
  await plant.issue('deeper', { as: 'issuing' }, 'issuing');
  await plant.issue('narrow', { as: 'narrow' });
  await plant.issue('past-issuing', { as: 'issuing', days: [-30, -1] });
  const bad: Bad[] = [];
  const add = async (name: string, fault: CertificateFault, wish: Parameters<OpensslAuthority['issue']>[1], by?: string): Promise<void> => {
    await plant.issue(name, wish, by);
    bad.push({ name, fault, shown: plant.shown(name) });
  };
  await add('wrong-usage', 'wrong-usage', { as: 'server' });
  await add('not-yet-valid', 'not-yet-valid', { days: [2, 20] });
  await add('expired', 'expired', { days: [-20, -2] });
  await add('issuer-expired', 'expired', {}, 'past-issuing');
  await add('path-too-long', 'path-too-long', {}, 'deeper');
  await add('outside-names', 'name-not-permitted', { as: 'stray' }, 'narrow');
  await add('revoked', 'revoked', {});
  await plant.revoke('revoked');
  await strangers.issue('unknown-issuer');
  bad.push({ name: 'unknown-issuer', fault: 'unknown-authority', shown: strangers.shown('unknown-issuer') });
  const { privateKey: key, certificate, chain } = own.certified!;
  bad.push({ name: 'revoked by us', fault: 'revoked', shown: { key, cert: certificate + chain } });
  await silent.issue('undetermined');
  bad.push({ name: 'undetermined', fault: 'undetermined', shown: silent.shown('undetermined') });
  return { plant, silent, bad };
}

/** Somebody else's authority, trusted in the tenant main. */
async function register(world: World, plant: OpensslAuthority, more: object): Promise<AuthorityView> {
  const certificate = plant.text(`${plant.name}.pem`);
  const { authority, nonce } = (await world.post('/authorities', { certificate, ...more })) as { authority: AuthorityView; nonce: string };
  world.done.add(`authority.register authority/${authority.id}`);
  await plant.issue(nonce);
  const trusted = (await world.post(`/authorities/${authority.id}/prove`, { proof: plant.text(`${nonce}.pem`) })) as AuthorityView;
  assert.equal(trusted.status, 'active');
  world.done.add(`authority.prove authority/${authority.id}`);
  return trusted;
}

function doorOf(name: string): Door {
  return mqttDoors.find((door) => door.name === name)!;
}

async function refusedCertificates(world: World, listener: ListenerName, reason: string): Promise<number> {
  const metrics = await world.metrics();
  return listener === 'https'
    ? metrics.sum('heliograph_security_handshakes_total', { result: reason })
    : metrics.sum('heliograph_net_refused_certificates_total', { listener, reason });
}

/** It is written behind what it tells of. */
async function toldInAudit(world: World, listener: ListenerName, reason: string): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const entries = await world.audited({ action: 'handshake.refuse', target: `listener/${listener}` });
    return entries.some(({ details }) => details?.['reason'] === reason);
  };
  await within(until(isThere), 5000, `the audit log does not tell of ${reason}`);
}

/** What the checks share. */
class Stage {
  readonly world: World;
  plant: OpensslAuthority | undefined;
  trusted: AuthorityView | undefined;
  readonly bad: Bad[] = [];
  /** Nothing may happen to these. */
  readonly steady: Line[] = [];

  constructor(world: World) {
    this.world = world;
  }

  async prepare(): Promise<void> {
    const { world } = this;
    const { plant, silent, bad } = await makeBad(world);
    this.plant = plant;
    this.bad.push(...bad);
    world.issuer.list = await plant.list();
    await plant.issue('early');
    await assert.rejects(shake(world, 'mqtts', plant.shown('early')));
    this.trusted = await register(world, plant, { crlUrls: [`${world.issuer.url}/list.crl`], revocationCheck: 'hard' });
    await register(world, silent, { revocationCheck: 'hard' });
    for (const door of mqttDoors) this.steady.push(await door.open(world, await accountFor(world, door)));
    await plant.issue('good');
    for (const name of ['early', 'good']) await this.#comesIn(plant, name);
    const layered = await OpensslAuthority.make(join(world.folder, 'layered'), 'layered');
    await register(world, layered, { revocationCheck: 'none' });
    // Only its root is known here; what is between is sent along.
    await layered.issue('between', { as: 'issuing' });
    await layered.issue('below', {}, 'between');
    await this.#comesIn(layered, 'below');
  }

  /** Listeners trust an authority a moment after it was proved. */
  async #comesIn(authority: OpensslAuthority, name: string): Promise<void> {
    await this.world.post('/devices', { id: name });
    for (const listener of listeners) await until(() => isTaken(this.world, listener, authority.shown(name)));
  }

  async refuses({ fault, shown }: Bad, listener: ListenerName): Promise<void> {
    const { world } = this;
    const before = await refusedCertificates(world, listener, fault);
    await assert.rejects(shake(world, listener, shown));
    assert.equal(await refusedCertificates(world, listener, fault), before + 1, `counted as ${fault}`);
    await toldInAudit(world, listener, fault);
    for (const line of this.steady) await line.works();
  }

  async refusesVersion(version: 'TLSv1.1' | 'TLSv1.2', listener: ListenerName): Promise<void> {
    const { world } = this;
    const count = async (): Promise<number> =>
      (await world.metrics()).sum('heliograph_security_handshakes_total', { result: 'parameters' });
    const before = await count();
    const old = { minVersion: 'TLSv1.1', maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
    await assert.rejects(shake(world, listener, old), /alert protocol version|ALERT_PROTOCOL_VERSION/i);
    assert.equal(await count(), before + 1);
    await toldInAudit(world, listener, 'parameters');
    for (const line of this.steady) await line.works();
  }

  async retire(): Promise<void> {
    const { world, plant, trusted } = this;
    const guests: { readonly door: Door; readonly account: Account; readonly line: Line }[] = [];
    for (const name of ['mqtts by certificate', 'wss by certificate']) {
      const door = doorOf(name);
      const id = world.name('plant');
      await plant!.issue(id);
      await world.post('/devices', { id });
      const { key: privateKey, cert: certificate } = plant!.shown(id);
      const certified = { privateKey, certificate, chain: '', root: '', fingerprint: '' };
      const account: Account = { tenant: 'main', id, password: '', psk: '', jwt: '', apiToken: '', apiTokenId: '', certified };
      guests.push({ door, account, line: await door.open(world, account) });
    }
    for (const { line } of guests) await line.works();
    await world.post(`/authorities/${trusted!.id}/retire`, { force: true });
    world.done.add(`authority.retire authority/${trusted!.id}`);
    const ends = guests.map(async ({ line, door }) => [door.name, await untilOver(line, door.name)] as const);
    for (const { door, account } of guests) await refused(world, door, account);
    told(await Promise.all(ends));
    for (const line of this.steady) {
      await line.works();
      line.close();
    }
  }
}

export async function handshakes(checks: Checks, world: World): Promise<void> {
  const stage = new Stage(world);
  await checks.check('handshake: an authority of openssl is trusted once it is proved, and not before', () => stage.prepare());
  for (const each of stage.bad) {
    for (const listener of listeners) {
      await checks.check(`handshake: ${each.name} is refused on ${listener}, counted and told`, () => stage.refuses(each, listener));
    }
  }
  for (const version of ['TLSv1.1', 'TLSv1.2'] as const) {
    for (const listener of listeners) {
      const name = `handshake: ${version} is refused on ${listener} where 1.3 is the least, counted and told`;
      await checks.check(name, () => stage.refusesVersion(version, listener));
    }
  }
  const name = 'handshake: an authority of somebody else that is retired takes its devices along, and nobody else';
  await checks.check(name, () => stage.retire());
}
