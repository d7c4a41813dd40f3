import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { secureRandom } from '../base/secure-random.ts';
import { UserError } from '../base/user-error.ts';
import { parseConfig, type Config } from '../config.ts';
import { temporaryDirectory } from '../../test/contracts/temporary-journal.ts';
import type { Verdict } from '../security/authentication/authenticator.ts';
import { outsideAuthenticators } from './outside-authenticators.ts';

const services = { clock: new ManualClock(), random: secureRandom, log: silentLog };

function configOf(security: object): Config {
  return parseConfig('h.yaml', JSON.stringify({ security }));
}

test('nothing is set up by default', async () => {
  assert.deepEqual(await outsideAuthenticators(configOf({}), services), []);
});

test('an issuer whose keys are in a file is trusted', async (t) => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const keysFile = join(temporaryDirectory(t), 'keys.json');
  fs.writeFileSync(keysFile, JSON.stringify({ keys: [await exportJWK(publicKey)] }));
  const issuer = { name: 'login', issuer: 'us', audience: ['heliograph'], keys: 'file', keysFile, roles: ['device'], tenant: 'acme' };
  const [jwt] = await outsideAuthenticators(configOf({ jwt: { issuers: [issuer] } }), services);
  const now = services.clock.wallMs() / 1000;
  const token = new SignJWT({ iss: 'us', aud: 'heliograph', sub: 'pump-7', exp: now + 60 }).setProtectedHeader({ alg: 'ES256' });
  const password = new Uint8Array(Buffer.from(await token.sign(privateKey)));
  const facts = { listener: 'mqtts', remoteAddress: '', secure: true, clientId: '', username: undefined, certificate: undefined };
  const verdict = await new Promise<Verdict>((resolve) => jwt!.authenticate({ ...facts, password }, resolve));
  assert.deepEqual(verdict.kind === 'proved' && verdict.identity, { tenant: 'acme', id: 'pump-7', kind: undefined, roles: ['device'] });
  await jwt!.close?.();
});

test('what is sent to the webhook is a line of a file', async (t) => {
  const authorizationFile = join(temporaryDirectory(t), 'authorization');
  const config = configOf({ webhook: { url: 'https://auth.example', authorizationFile } });
  await assert.rejects(outsideAuthenticators(config, services), UserError);
  fs.writeFileSync(authorizationFile, 'Bearer secret\nX-Other: y');
  await assert.rejects(outsideAuthenticators(config, services), (error) => error instanceof UserError && !error.message.includes('secret'));
  fs.writeFileSync(authorizationFile, 'Bearer secret\n');
  const [webhook] = await outsideAuthenticators(config, services);
  assert.equal(webhook?.method, 'webhook');
  await webhook?.close?.();
});
