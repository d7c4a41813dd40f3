// Tokens and a webhook on a real broker: who comes in by them, and how it ends.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { auth } from '../../src/protocols/mqtt/testing/client-packets.ts';
import { Served } from './run-cli.ts';
import { freeListeners } from '../harness/free-listeners.ts';

type Issued = { readonly token: (claims: object) => Promise<string>; readonly url: string };

async function serve(t: TestContext, security: (directory: string, jwk: object) => object): Promise<Issued> {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-tokens-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const config = { listeners: freeListeners(), security: security(directory, await exportJWK(publicKey)) };
  writeFileSync(join(directory, 'heliograph.yaml'), JSON.stringify(config));
  const served = new Served(['--config', join(directory, 'heliograph.yaml'), '--data', join(directory, 'data')]);
  t.after(() => served.kill());
  return {
    token: (claims) => new SignJWT({ iss: 'us', aud: 'heliograph', ...claims }).setProtectedHeader({ alg: 'ES256' }).sign(privateKey),
    url: `mqtt://127.0.0.1:${await served.port('mqtt')}`,
  };
}

async function client(t: TestContext, url: string, options: IClientOptions): Promise<MqttClient> {
  const connected = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0, ...options });
  t.after(() => connected.end(true));
  return connected;
}

const nowSec = (): number => Date.now() / 1000;

test('a token lets in as who it names, until it ends; AUTH brings the next one', async (t) => {
  const { token, url } = await serve(t, (directory, jwk) => {
    const keysFile = join(directory, 'keys.json');
    writeFileSync(keysFile, JSON.stringify({ keys: [jwk] }));
    const issuer = { name: 'login', issuer: 'us', audience: ['heliograph'], keys: 'file', keysFile, kind: 'device', roles: ['device'] };
    return { jwt: { issuers: [{ ...issuer, clockSkewMs: 0 }] } };
  });
  const ends = (connected: MqttClient): Promise<number | undefined> =>
    new Promise((resolve) => connected.once('disconnect', ({ reasonCode }) => resolve(reasonCode)));
  // Long enough for a slow machine to connect with it.
  const short = (sub: string): Promise<string> => token({ sub, exp: nowSec() + 2 });
  const inAuth = await client(t, url, {
    clientId: 'renewing',
    properties: { authenticationMethod: 'JWT', authenticationData: Buffer.from(await short('pump-9')) },
  });
  inAuth.stream.write(auth(0x19, 'JWT', await token({ sub: 'pump-9', exp: nowSec() + 600 })));
  const old = await client(t, url, { protocolVersion: 4, clientId: 'old', username: 'any', password: await short('old') });
  const closed = new Promise((resolve) => old.once('close', () => resolve('closed')));
  const byPassword = await client(t, url, { username: 'any', password: await short('pump-7') });
  const ended = ends(byPassword);
  await byPassword.publishAsync('dev/pump-7/up', 'hello', { qos: 1 });
  await assert.rejects(byPassword.publishAsync('dev/pump-8/up', 'hello', { qos: 1 }), /Not authorized/);
  assert.equal(await ended, 0xa0);
  assert.equal(await closed, 'closed');
  // Its first token has ended before theirs.
  await inAuth.publishAsync('dev/pump-9/up', 'still here', { qos: 1 });
  const stranger = await token({ sub: 'pump-10', exp: nowSec() + 600 });
  const expelled = ends(inAuth);
  inAuth.stream.write(auth(0x19, 'JWT', stranger));
  assert.equal(await expelled, 0x87, 'a session belongs to who opened it');
  await assert.rejects(
    client(t, url, { username: 'any', password: await token({ sub: 'y', exp: nowSec() - 1 }) }),
    /Bad User Name or Password/,
  );
});

test('a webhook lets in whom it knows, and nobody when it fails', async (t) => {
  let status = 200;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += String(piece)));
    request.on('end', () => {
      const { username, password } = JSON.parse(body) as { username: string; password: string };
      response.writeHead(status).end(JSON.stringify({ allow: password === 'right', id: username, roles: ['device'] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => (server.close(), server.closeAllConnections()));
  const { url } = await serve(t, () => ({
    webhook: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, kind: 'device' },
  }));
  const known = await client(t, url, { username: 'pump-7', password: 'right' });
  await known.publishAsync('dev/pump-7/up', 'hello', { qos: 1 });
  await assert.rejects(client(t, url, { username: 'pump-7', password: 'wrong' }), /Bad User Name or Password/);
  status = 500;
  await assert.rejects(client(t, url, { username: 'pump-7', password: 'right' }), /Server busy/);
});
