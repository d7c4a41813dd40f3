// Independent clients against the DTLS server itself, over real UDP, with a server that sends back what it gets: so each suite and each
// fault can be had without a protocol on top. CoAP over DTLS is in coap/.

import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DtlsSettings } from '../../../src/net/dtls/endpoint.ts';
import { privateKeySigner } from '../../../src/net/dtls/private-key-signer.ts';
import type { SuiteName } from '../../../src/net/dtls/suites.ts';
import { madeRoot } from '../../../src/security/pki/testing/made-certificates.ts';
import type { CheckContext, Checks } from '../checks.ts';
import { Child } from '../process.ts';
import { buildMbedTls, buildWolfSsl, type Built } from './cid-clients.ts';
import { startEchoServer, type EchoAnswers, type EchoServer } from './echo-server.ts';
import { startRebindingProxy } from './rebinding-proxy.ts';

const psk = Buffer.from('secretPSK');
const pskHex = psk.toString('hex');
/** Built into wolfSSL's example. */
const wolfPsk = { identity: 'Client_identity', key: Buffer.from('1a2b3c4d', 'hex') };

type Paths = { readonly folder: string; readonly ca: string; readonly certificate: string; readonly key: string; readonly chain: string };

/** `folder`: where clients are built, and kept for the next time; absent: nowhere for long. */
export async function dtlsChecks(checks: Checks, folder: string | undefined): Promise<void> {
  const own = await mkdtemp(join(tmpdir(), 'interop-dtls-'));
  try {
    const paths = await writeCertificates(own);
    const sources = folder ?? own;
    const building = checks.wanted('DTLS: mbedTLS') || checks.wanted('DTLS: wolfSSL');
    // One after the other: the machine may be small.
    const mbedTls = building ? buildMbedTls(sources) : undefined;
    const wolfSsl = mbedTls?.then(() => buildWolfSsl(sources));
    await opensslChecks(checks, paths);
    await gnuTlsChecks(checks, paths);
    if (mbedTls !== undefined) await mbedTlsChecks(checks, await mbedTls, paths);
    if (wolfSsl !== undefined) await wolfSslChecks(checks, await wolfSsl, paths);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

const root = madeRoot('interop root');
const middle = root.issue('interop middle', { authority: true });
const server = root.issue('localhost', { usages: ['1.3.6.1.5.5.7.3.1'] });
const device = middle.issue('device');

async function writeCertificates(folder: string): Promise<Paths> {
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  return {
    folder,
    ca: await write('ca.pem', root.pem),
    certificate: await write('device.pem', device.pem),
    key: await write('device.key', device.keyPem),
    chain: await write('chain.pem', middle.pem),
  };
}

async function serve(context: CheckContext, changes: Partial<DtlsSettings> = {}, answers: EchoAnswers = {}): Promise<EchoServer> {
  const keyOf = (identity: string): Uint8Array | undefined => {
    if (identity === wolfPsk.identity) return wolfPsk.key;
    return identity === 'device1' ? psk : undefined;
  };
  const settings: DtlsSettings = {
    credentials: [{ chain: [server.der], signer: privateKeySigner(createPrivateKey(server.keyPem)) }],
    clientCertificate: 'request',
    rawPublicKeys: true,
    psk: { hint: new Uint8Array() },
    ...changes,
  };
  const started = await startEchoServer(settings, { keyOf, ...answers });
  context.after(() => started.close());
  return started;
}

/** Says something, and waits until it comes back. */
async function echoes(client: Child, ready: RegExp): Promise<void> {
  await client.waitFor(ready);
  client.write('heliograph says hello\n');
  await client.waitFor(/^heliograph says hello/);
}

function openssl(context: CheckContext, { port }: EchoServer, ...args: readonly string[]): Child {
  return context.child(new Child('openssl', ['s_client', '-dtls1_2', '-connect', `127.0.0.1:${port}`, ...args]));
}

const opensslReady = /^\s+Extended master secret/;
const pskArgs = ['-psk', pskHex, '-psk_identity', 'device1'];

function mutualArgs({ ca, certificate, key, chain }: Paths): string[] {
  return ['-CAfile', ca, '-verify_return_error', '-cert', certificate, '-key', key, '-cert_chain', chain];
}

async function opensslChecks(checks: Checks, paths: Paths): Promise<void> {
  const suites: readonly SuiteName[] = ['PSK-AES128-CCM8', 'PSK-AES128-CCM', 'PSK-AES128-GCM-SHA256'];
  const certified: readonly SuiteName[] = ['ECDHE-ECDSA-AES128-CCM8', 'ECDHE-ECDSA-AES128-CCM', 'ECDHE-ECDSA-AES128-GCM-SHA256'];
  for (const suite of [...suites, ...certified]) {
    await checks.check(`DTLS: openssl, ${suite}`, async (context) => {
      const echo = await serve(context, { clientCertificate: 'require' });
      const args = suite.startsWith('PSK') ? pskArgs : mutualArgs(paths);
      await echoes(openssl(context, echo, ...args, '-cipher', `${suite}:@SECLEVEL=0`), opensslReady);
      assert.ok(echo.seen.some((effect) => effect.kind === 'opened' && effect.suite === suite));
    });
  }
  await checks.check('DTLS: openssl, a server with an RSA certificate', async (context) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const rsaKey = join(paths.folder, 'rsa.key');
    await writeFile(rsaKey, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const made = context.child(
      new Child('openssl', ['req', '-x509', '-new', '-key', rsaKey, '-subj', '/CN=rsa', '-outform', 'DER', '-out', `${rsaKey}.der`]),
    );
    await made.success();
    const echo = await serve(context, {
      credentials: [{ chain: [await readFile(`${rsaKey}.der`)], signer: privateKeySigner(privateKey) }],
    });
    await echoes(openssl(context, echo), opensslReady);
  });
  for (const groups of ['P-256', 'X25519:P-256', 'P-256:P-384']) {
    await checks.check(`DTLS: openssl, groups ${groups}`, async (context) => {
      const first = groups === 'P-256' ? 'secp256r1' : groups.startsWith('X') ? 'x25519' : 'secp384r1';
      const echo = await serve(context, { groups: [first] });
      await echoes(openssl(context, echo, '-groups', groups), opensslReady);
    });
  }
  await checks.check('DTLS: openssl, small datagrams and a chain of two', async (context) => {
    const echo = await serve(context, { limits: { mtu: 300 } });
    await echoes(openssl(context, echo, '-mtu', '300', ...mutualArgs(paths)), opensslReady);
    const asked = echo.seen.find((effect) => effect.kind === 'certificateWanted');
    assert.equal(asked?.chain.length, 2);
  });
  await checks.check('DTLS: openssl, a session is resumed', async (context) => {
    const echo = await serve(context);
    const session = join(paths.folder, 'session');
    const first = openssl(context, echo, ...mutualArgs(paths), '-sess_out', session);
    await echoes(first, opensslReady);
    first.endInput();
    await first.exit();
    const second = openssl(context, echo, ...mutualArgs(paths), '-sess_in', session);
    await second.waitFor(/^Reused, /);
    await echoes(second, opensslReady);
  });
  await opensslRefusals(checks, paths);
  await checks.check('DTLS: openssl, a device that is switched off and on', async (context) => {
    const echo = await serve(context);
    const port = String(20_000 + (echo.port % 10_000));
    for (let i = 0; i < 3; i++) {
      const client = openssl(context, echo, ...pskArgs, '-cipher', 'PSK-AES128-CCM8:@SECLEVEL=0', '-bind', `127.0.0.1:${port}`);
      await echoes(client, opensslReady);
      client.kill('SIGKILL');
      await client.exit();
    }
    assert.equal(echo.seen.filter((effect) => effect.kind === 'closed' && effect.reason === 'replaced').length, 2);
  });
  await lossChecks(checks, 'openssl', (context, echo) => echoes(openssl(context, echo, ...mutualArgs(paths)), opensslReady));
}

async function opensslRefusals(checks: Checks, paths: Paths): Promise<void> {
  const refusals: readonly [string, readonly string[], Partial<DtlsSettings>, RegExp][] = [
    ['an identity that nobody has', ['-psk', pskHex, '-psk_identity', 'nobody', '-cipher', 'PSK'], {}, /alert number 115/],
    ['no suite in common', ['-cipher', 'AES128-SHA'], {}, /alert number 40/],
    ['no certificate where one is required', ['-CAfile', paths.ca], { clientCertificate: 'require' }, /alert number 40/],
  ];
  for (const [what, args, settings, expected] of refusals) {
    await checks.check(`DTLS: openssl, ${what}`, async (context) => {
      const echo = await serve(context, settings);
      await openssl(context, echo, ...args).waitFor(expected);
      assert.ok(!echo.seen.some(({ kind }) => kind === 'opened'));
    });
  }
  await checks.check('DTLS: openssl, a certificate that is not admitted', async (context) => {
    const echo = await serve(context, {}, { admit: () => ({ ok: false, alert: 'certificate-revoked' }) });
    await openssl(context, echo, ...mutualArgs(paths)).waitFor(/alert number 44/);
  });
  await checks.check('DTLS: openssl, a wrong pre-shared key', async (context) => {
    const echo = await serve(context, { limits: { handshakeMs: 2000 } });
    openssl(context, echo, '-psk', '00', '-psk_identity', 'device1', '-cipher', 'PSK-AES128-CCM8:@SECLEVEL=0');
    while (!echo.seen.some(({ kind }) => kind === 'failed')) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(echo.seen.some((effect) => effect.kind === 'failed' && effect.reason === 'psk'));
  });
  await checks.check('DTLS: openssl, renegotiation', async (context) => {
    const echo = await serve(context);
    const client = openssl(context, echo, '-CAfile', paths.ca);
    await client.waitFor(opensslReady);
    client.write('R\n');
    await client.waitFor(/no renegotiation/);
    assert.equal(echo.endpoint.counters.renegotiationsRefused, 1);
  });
}

/** Each of the first datagrams of either side is lost in turn. */
async function lossChecks(
  checks: Checks,
  name: string,
  connect: (context: CheckContext, echo: EchoServer) => Promise<void>,
): Promise<void> {
  await checks.check(`DTLS: ${name}, each datagram of the handshake lost in turn`, async (context) => {
    const lossy = async (lost: number, isInward: boolean): Promise<void> => {
      let count = 0;
      let isOpen = (): boolean => false;
      // Data that is lost stays lost.
      const lets = (): boolean => isOpen() || count++ !== lost;
      const echo = await serve(context, {}, isInward ? { lets } : { sends: lets });
      isOpen = () => echo.seen.some(({ kind }) => kind === 'opened');
      await connect(context, echo);
    };
    await Promise.all([0, 1, 2, 3].flatMap((lost) => [lossy(lost, true), lossy(lost, false)]));
  });
}

async function gnuTlsChecks(checks: Checks, paths: Paths): Promise<void> {
  const gnutls = (context: CheckContext, { port }: EchoServer, priority: string, ...args: readonly string[]): Child => {
    const all = ['--udp', '-p', String(port), '--priority', `NORMAL:-VERS-ALL:+VERS-DTLS1.2:${priority}`, '--no-ca-verification', ...args];
    return context.child(new Child('gnutls-cli', [...all, '127.0.0.1']));
  };
  const ready = /Simple Client Mode/;
  const certificate = ['--x509certfile', paths.certificate, '--x509keyfile', paths.key];
  const ways: readonly [string, string, readonly string[]][] = [
    ['PSK with CCM_8', '-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-CCM-8', ['--pskusername', 'device1', '--pskkey', pskHex]],
    ['PSK with GCM', '-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-GCM', ['--pskusername', 'device1', '--pskkey', pskHex]],
    ['mutual certificates with CCM_8', '-CIPHER-ALL:+AES-128-CCM-8', certificate],
    ['mutual certificates, X25519', '-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1', certificate],
  ];
  for (const [what, priority, args] of ways) {
    await checks.check(`DTLS: gnutls-cli, ${what}`, async (context) =>
      echoes(gnutls(context, await serve(context), priority, ...args), ready),
    );
  }
  await checks.check('DTLS: gnutls-cli, raw public keys in both directions', async (context) => {
    const spki = join(paths.folder, 'device.pub');
    const made = context.child(new Child('openssl', ['pkey', '-in', paths.key, '-pubout', '-out', spki]));
    await made.success();
    const echo = await serve(context);
    const priority = '-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK';
    await echoes(gnutls(context, echo, priority, '--rawpkkeyfile', paths.key, '--rawpkfile', spki), ready);
    const asked = echo.seen.find((effect) => effect.kind === 'rawKeyWanted');
    assert.deepEqual(Buffer.from(asked!.spki), Buffer.from(device.signer.publicKey));
  });
  await checks.check('DTLS: gnutls-cli, a session is resumed', async (context) => {
    const echo = await serve(context);
    await gnutls(context, echo, '+VERS-DTLS1.2', '-r').waitFor(/This is a resumed session/);
    assert.equal(echo.endpoint.counters.resumed, 1);
  });
  await lossChecks(checks, 'gnutls-cli', (context, echo) => echoes(gnutls(context, echo, '+VERS-DTLS1.2', ...certificate), ready));
}

async function mbedTlsChecks(checks: Checks, built: Built, paths: Paths): Promise<void> {
  if ('problem' in built) return checks.skip('DTLS: mbedTLS', built.problem);
  const client = (context: CheckContext, port: number, ...args: readonly string[]): Child =>
    context.child(new Child(built.program, ['server_addr=127.0.0.1', `server_port=${port}`, 'dtls=1', ...args]));
  const pskWay = [`psk=${pskHex}`, 'psk_identity=device1', 'force_ciphersuite=TLS-PSK-WITH-AES-128-CCM-8'];
  const mutual = [
    `ca_file=${paths.ca}`,
    `crt_file=${paths.certificate}`,
    `key_file=${paths.key}`,
    'server_name=localhost',
    'auth_mode=optional',
  ];
  const ways: readonly [string, readonly string[]][] = [
    ['PSK, Connection ID of two bytes', [...pskWay, 'cid=1', 'cid_val=aabb', 'exchanges=4']],
    ['PSK, empty Connection ID', [...pskWay, 'cid=1', 'exchanges=2']],
    ['PSK without Connection ID', pskWay],
    ['mutual certificates, Connection ID', [...mutual, 'force_ciphersuite=TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8', 'cid=1', 'cid_val=beef']],
    ['records of 512 bytes', [...mutual, 'max_frag_len=512']],
    ['a session is resumed', [...mutual, 'reconnect=1', 'reco_mode=1', 'tickets=0']],
  ];
  for (const [what, args] of ways) {
    await checks.check(`DTLS: mbedTLS, ${what}`, async (context) => {
      const echo = await serve(context);
      await client(context, echo.port, ...args).success();
      const opened = echo.seen.filter((effect) => effect.kind === 'opened');
      assert.ok(opened.length > 0 && opened.every(({ hasCid }) => hasCid === args.includes('cid=1')));
    });
  }
  await checks.check('DTLS: mbedTLS, its address changes with each datagram after the handshake', async (context) => {
    const echo = await serve(context);
    const proxy = await startRebindingProxy(echo.port);
    context.after(() => proxy.close());
    await client(context, proxy.port, ...pskWay, 'cid=1', 'cid_val=aabb', 'exchanges=6').success();
    assert.ok(echo.endpoint.counters.moves >= 5, `${echo.endpoint.counters.moves} moves`);
    assert.equal(echo.endpoint.counters.opened, 1);
  });
}

async function wolfSslChecks(checks: Checks, built: Built, paths: Paths): Promise<void> {
  if ('problem' in built) return checks.skip('DTLS: wolfSSL', built.problem);
  const ways: readonly [string, readonly string[]][] = [
    ['ECDHE_PSK with GCM', ['-s', '-l', 'ECDHE-PSK-AES128-GCM-SHA256']],
    ['ECDHE_PSK with GCM, Connection ID', ['-s', '-l', 'ECDHE-PSK-AES128-GCM-SHA256', '--cid', '0a0b']],
    ['mutual certificates, Connection ID', ['--cid', '0a0b', '-l', 'ECDHE-ECDSA-AES128-CCM8']],
  ];
  for (const [what, args] of ways) {
    await checks.check(`DTLS: wolfSSL, ${what}`, async (context) => {
      const echo = await serve(context);
      const mutual = args.includes('-s') ? [] : ['-A', paths.ca, '-c', paths.certificate, '-k', paths.key];
      const all = ['-u', '-v', '3', '-h', '127.0.0.1', '-p', String(echo.port), ...mutual, ...args];
      await context.child(new Child(built.program, all, { cwd: built.folder })).success();
      assert.ok(echo.seen.some((effect) => effect.kind === 'opened' && effect.hasCid === args.includes('--cid')));
    });
  }
}
