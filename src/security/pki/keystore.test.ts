import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect, createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { ManualClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { UserError } from '../../base/user-error.ts';
import { describeCertificate, identityOf } from '../peer-certificate.ts';
import { openKeystore } from './keystore.ts';
import type { Keystore, KeystoreFiles } from './keystore.ts';

const run = promisify(execFile);
const dayMs = 86_400_000;
const noFiles: KeystoreFiles = { certificates: [], clientCaFile: undefined, serverNames: [] };

type Bench = { directory: string; clock: ManualClock; lines: string[]; open: (files?: Partial<KeystoreFiles>) => Promise<Keystore> };

async function bench(t: TestContext): Promise<Bench> {
  const parent = await mkdtemp(join(tmpdir(), 'heliograph-'));
  t.after(() => rm(parent, { recursive: true }));
  const directory = join(parent, 'pki');
  // Certificates are checked by OpenSSL and Node against the real time.
  const clock = new ManualClock(Date.now());
  const lines: string[] = [];
  const line = (event: string, fields?: object): number => lines.push(`${event} ${JSON.stringify(fields)}`);
  const services = { clock, random: new SeededRandom(Date.now()), log: { debug: line, info: line, warn: line, error: line } satisfies Log };
  return {
    directory,
    clock,
    lines,
    open: (files) => openKeystore({ directory, hostname: 'node-1.example', ...noFiles, ...files }, services),
  };
}

const fails = (what: RegExp, where?: string) => (error: unknown) =>
  error instanceof UserError &&
  what.test(error.message) &&
  (where === undefined || error.where?.includes(where) === true) &&
  error.fix !== undefined;

test('the first start makes an authority and a server certificate, later starts keep them', async (t) => {
  const { directory, open, lines } = await bench(t);
  const first = await open();
  const second = await open();
  assert.deepEqual(second.material, first.material);
  assert.deepEqual((await readdir(directory)).sort(), ['ca-key.pem', 'ca.crt', 'server.pem']);
  if (process.platform !== 'win32') {
    for (const name of await readdir(directory)) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
  }
  assert.equal(await readFile(first.authorityFile, 'utf8'), first.authorityCertificate);
  assert.doesNotMatch(lines.join('\n'), /BEGIN|PRIVATE/);
  assert.equal(first.material.clientAuthorities, first.authorityCertificate);
  const server = new X509Certificate(first.material.servers[0]!.certificate);
  for (const name of ['localhost', 'node-1.example']) assert.equal(server.checkHost(name), name);
  for (const ip of ['127.0.0.1', '::1']) assert.ok(server.checkIP(ip), ip);
});

test('OpenSSL finds nothing wrong with what is issued', async (t) => {
  const { directory, open } = await bench(t);
  const keystore = await open({ serverNames: ['*.example.com', '192.0.2.7', '2001:db8::7'] });
  const device = await keystore.issueDeviceCertificate('pump-7', 'acme', 365);
  const unusual = await keystore.issueDeviceCertificate('Größe, "3" = ok', 'main', 1);
  await writeFile(join(directory, 'device.crt'), device.certificate);
  await writeFile(join(directory, 'unusual.crt'), unusual.certificate);
  const verify = (purpose: string, file: string): Promise<{ stdout: string }> =>
    run('openssl', [
      'verify',
      '-x509_strict',
      '-check_ss_sig',
      '-purpose',
      purpose,
      '-CAfile',
      keystore.authorityFile,
      join(directory, file),
    ]);
  assert.match((await verify('sslclient', 'device.crt')).stdout, /OK/);
  assert.match((await verify('sslclient', 'unusual.crt')).stdout, /OK/);
  assert.match((await verify('sslserver', 'server.pem')).stdout, /OK/);
  await assert.rejects(verify('sslserver', 'device.crt'), 'a device certificate is no server certificate');
  await assert.rejects(verify('sslclient', 'server.pem'), 'and the other way round');
  const { stdout } = await run('openssl', ['x509', '-in', join(directory, 'device.crt'), '-noout', '-text']);
  for (const detail of [/URI:heliograph:acme\/pump-7/, /TLS Web Client Authentication/, /CN ?= ?pump-7/, /Digital Signature/, /CA:FALSE/]) {
    assert.match(stdout, detail);
  }
});

test('a device proves who it is in a TLS handshake', async (t) => {
  const { open } = await bench(t);
  const keystore = await open();
  const { servers, clientAuthorities } = keystore.material;
  const { certificate: cert, privateKey: key } = servers[0]!;
  const server = createServer({ cert, key, ca: clientAuthorities, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const device = await keystore.issueDeviceCertificate('pump 7', 'acme', 30);
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  const client = connect({
    port,
    host: 'localhost',
    ca: keystore.authorityCertificate,
    cert: device.certificate + device.chain,
    key: device.privateKey,
  });
  t.after(() => client.destroy());
  const [socket] = await accepted;
  const shown = describeCertificate(socket.getPeerX509Certificate()!);
  assert.deepEqual(identityOf(shown, ['san'], 'x'), { tenant: 'acme', id: 'pump 7' });
  assert.equal(shown.commonName, 'pump 7');
  assert.equal(shown.fingerprint, device.fingerprint);
  socket.destroy();
});

test('the server certificate is renewed when a third of its life is left, and when names are added', async (t) => {
  const { open, clock } = await bench(t);
  const keystore = await open();
  const { material } = keystore;
  clock.advance(59 * dayMs);
  assert.equal(await keystore.renewIfDue(), false);
  assert.equal(keystore.material, material, 'nothing changed, so nothing needs to be reloaded');
  clock.advance(2 * dayMs);
  assert.equal(await keystore.renewIfDue(), true);
  assert.ok(keystore.material.servers[0]!.notAfterMs > clock.wallMs() + 89 * dayMs);
  assert.deepEqual((await open()).material, keystore.material, 'it is on the disk');
  await keystore.reload({ ...noFiles, serverNames: ['new.example'] });
  assert.equal(new X509Certificate(keystore.material.servers[0]!.certificate).checkHost('new.example'), 'new.example');
  await assert.rejects(keystore.reload({ ...noFiles, serverNames: ['not a name'] }), fails(/not a name/));
  const samples = [...keystore.metrics()];
  const expiry = samples.find(({ name, labels }) => name.endsWith('expiry_timestamp_seconds') && labels?.['certificate'] === 'server');
  assert.equal(expiry?.value, keystore.material.servers[0]!.notAfterMs / 1000);
});

test('a certificate does not outlive the authority, and an expired authority issues none', async (t) => {
  const { open, clock } = await bench(t);
  const keystore = await open();
  clock.advance(3640 * dayMs);
  const device = await keystore.issueDeviceCertificate('late', 'main', 365);
  assert.ok(device.notAfterMs < clock.wallMs() + 11 * dayMs);
  await keystore.renewIfDue();
  assert.equal(await keystore.renewIfDue(), false, 'not again and again');
  clock.advance(20 * dayMs);
  await assert.rejects(keystore.issueDeviceCertificate('later', 'main', 1), fails(/expired/));
});

test('names and times that cannot be are refused', async (t) => {
  const { open } = await bench(t);
  const keystore = await open();
  for (const [name, tenant, days] of [
    ['a/b', 'main', 1],
    ['', 'main', 1],
    ['x'.repeat(65), 'main', 1],
    ['a', '#', 1],
    ['a', 'main', 0],
    ['a', 'main', 1.5],
    ['a', 'main', 4000],
  ] as const) {
    await assert.rejects(keystore.issueDeviceCertificate(name, tenant, days), UserError, `${name} ${tenant} ${days}`);
  }
});

test('a damaged server file is made again, a damaged or incomplete authority is not', async (t) => {
  const { directory, open } = await bench(t);
  const first = await open();
  await writeFile(join(directory, 'server.pem'), 'nonsense');
  assert.notDeepEqual((await open()).material, first.material);

  const key = await readFile(join(directory, 'ca-key.pem'), 'utf8');
  await rm(join(directory, 'ca-key.pem'));
  await assert.rejects(open(), fails(/key of the certificate authority is missing/, 'ca-key.pem'));
  await writeFile(join(directory, 'ca-key.pem'), 'nonsense');
  await assert.rejects(open(), fails(/damaged/, 'ca-key.pem'));
  await writeFile(join(directory, 'ca-key.pem'), first.material.servers[0]!.privateKey);
  await assert.rejects(open(), fails(/do not belong together/, 'ca-key.pem'));

  // A first start that was cut short leaves the key alone; the certificate made for it takes up its name.
  await writeFile(join(directory, 'ca-key.pem'), key, { mode: 0o600 });
  await rm(join(directory, 'ca.crt'));
  const again = await open();
  assert.equal(new X509Certificate(again.authorityCertificate).subject, new X509Certificate(first.authorityCertificate).subject);
});

test('own certificates are taken from files, and each mistake in them is told', async (t) => {
  const { directory, clock, open } = await bench(t);
  const keystore = await open();
  const file = (name: string): string => join(directory, name);
  const put = (name: string, text: string): Promise<void> => writeFile(file(name), text);
  const { certificate, privateKey } = keystore.material.servers[0]!;
  await put('own.crt', certificate);
  await put('own.key', privateKey);
  const other = await keystore.issueDeviceCertificate('other', 'main', 1);
  await put('other.key', other.privateKey);
  await put('nonsense', 'nonsense');
  await put('broken.crt', certificate.replace(/\n[A-Za-z0-9+/]{10}/, '\nAAAAAAAAAA'));
  const own = (certificateFile: string, privateKeyFile: string): KeystoreFiles => ({
    ...noFiles,
    certificates: [{ certificateFile: file(certificateFile), privateKeyFile: file(privateKeyFile), serverNames: ['a.example'] }],
  });

  const before = keystore.material;
  const mistakes: [KeystoreFiles, RegExp, string][] = [
    [own('missing', 'own.key'), /does not exist/, 'missing'],
    [own('own.crt', 'missing'), /does not exist/, 'missing'],
    [own('nonsense', 'own.key'), /no certificate/, 'nonsense'],
    [own('broken.crt', 'own.key'), /damaged/, 'broken.crt'],
    [own('own.crt', 'nonsense'), /cannot be read as PEM/, 'nonsense'],
    [own('own.crt', 'other.key'), /does not belong/, 'other.key'],
    [{ ...noFiles, clientCaFile: file('missing') }, /does not exist/, 'missing'],
    [{ ...noFiles, clientCaFile: file('nonsense') }, /no certificate/, 'nonsense'],
    [{ ...noFiles, clientCaFile: file('own.crt') }, /no authority/, 'own.crt'],
  ];
  for (const [files, what, where] of mistakes) await assert.rejects(keystore.reload(files), fails(what, where), String(what));
  assert.equal(keystore.material, before, 'what was in force stays');

  await keystore.reload({ ...own('own.crt', 'own.key'), clientCaFile: keystore.authorityFile });
  assert.deepEqual(
    keystore.material.servers.map(({ serverNames, source }) => ({ serverNames, source })),
    [{ serverNames: ['a.example'], source: file('own.crt') }],
  );
  assert.equal(keystore.material.clientAuthorities, keystore.authorityCertificate);
  clock.advance(91 * dayMs);
  await assert.rejects(keystore.reload(), fails(/expired on/, 'own.crt'));
  clock.advance(-92 * dayMs);
  await assert.rejects(keystore.reload(), fails(/not valid before/, 'own.crt'));
});

test('an encrypted key is named as such', async (t) => {
  const { directory, open } = await bench(t);
  const keystore = await open();
  await writeFile(join(directory, 'own.crt'), keystore.material.servers[0]!.certificate);
  const plain = join(directory, 'server.pem');
  const path = join(directory, 'locked.key');
  await run('openssl', ['pkcs8', '-topk8', '-in', plain, '-out', path, '-passout', 'pass:x']);
  const certificates = [{ certificateFile: join(directory, 'own.crt'), privateKeyFile: path, serverNames: [] }];
  await assert.rejects(keystore.reload({ ...noFiles, certificates }), fails(/encrypted/, 'locked.key'));
});
