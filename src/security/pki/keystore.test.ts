import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect, createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import type { ManualClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { UserError } from '../../base/user-error.ts';
import { describeCertificate, identityOf } from '../peer-certificate.ts';
import { openKeystore } from './keystore.ts';
import type { Keystore, KeystoreFiles } from './keystore.ts';
import { byTest, pkiBench } from './testing/opened-pki.ts';

const run = promisify(execFile);
const dayMs = 86_400_000;
const noFiles: KeystoreFiles = { certificates: [], clientCaFile: undefined, serverNames: [] };

type Device = { readonly certificate: string; readonly chain: string; readonly privateKey: string; readonly fingerprint: string };
type Bench = {
  directory: string;
  clock: ManualClock;
  lines: string[];
  open: (files?: Partial<KeystoreFiles>) => Promise<Keystore>;
  device: (id: string) => Promise<Device>;
};

async function bench(t: TestContext): Promise<Bench> {
  const lines: string[] = [];
  const line = (event: string, fields?: object): number => lines.push(`${event} ${JSON.stringify(fields)}`);
  const log = { debug: line, info: line, warn: line, error: line } satisfies Log;
  const { directory, clock, open, device } = await pkiBench(t, log);
  let last = await open();
  return {
    directory,
    clock,
    lines,
    open: async (files) => {
      last = await open();
      return openKeystore({ directory, hostname: 'node-1.example', ...noFiles, ...files }, { clock, log, pki: last.pki });
    },
    device: async (id) => {
      await device(id);
      const issued = await last.pki.issueWithKey({ tenant: 'main', owner: { kind: 'device', id }, ...byTest });
      assert.ok(issued.ok, JSON.stringify(issued));
      return issued.value;
    },
  };
}

const fails = (what: RegExp, where?: string) => (error: unknown) =>
  error instanceof UserError &&
  what.test(error.message) &&
  (where === undefined || error.where?.includes(where) === true) &&
  error.fix !== undefined;

test('the first start makes authorities and a server certificate, later starts keep them', async (t) => {
  const { directory, open, lines } = await bench(t);
  const first = await open();
  const second = await open();
  assert.deepEqual(second.material, first.material);
  assert.deepEqual((await readdir(directory)).sort(), ['audit.pem', 'ca.crt', 'keys', 'seal.key', 'seal.salt', 'server.pem']);
  if (process.platform !== 'win32') {
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      const mode = (await stat(join(entry.parentPath, entry.name))).mode & 0o777;
      assert.equal(mode, entry.isDirectory() ? 0o700 : 0o600, entry.name);
    }
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
  }
  assert.equal(await readFile(first.authorityFile, 'utf8'), first.authorityCertificate);
  assert.doesNotMatch(lines.join('\n'), /BEGIN|PRIVATE/);
  const [server, issuing] = first.material.servers[0]!.certificate.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g)!;
  assert.ok(first.material.clientAuthorities.includes(issuing!) && first.material.clientAuthorities.includes(first.authorityCertificate));
  assert.ok(new X509Certificate(server!).checkIssued(new X509Certificate(issuing!)));
  const own = new X509Certificate(first.material.servers[0]!.certificate);
  for (const name of ['localhost', 'node-1.example']) assert.equal(own.checkHost(name), name);
  for (const ip of ['127.0.0.1', '::1']) assert.ok(own.checkIP(ip), ip);
});

test('OpenSSL finds nothing wrong with a server certificate of many names', async (t) => {
  const { directory, open } = await bench(t);
  const keystore = await open({ serverNames: ['*.example.com', '192.0.2.7', '2001:db8::7'] });
  const own = join(directory, 'server.pem');
  const { stdout } = await run('openssl', [
    ...['verify', '-x509_strict', '-check_ss_sig', '-purpose', 'sslserver'],
    ...['-CAfile', keystore.authorityFile, '-untrusted', own, own],
  ]);
  assert.match(stdout, /OK/);
  const shown = new X509Certificate(await readFile(own));
  assert.match(shown.subjectAltName!, /DNS:\*\.example\.com.*IP Address:192\.0\.2\.7.*IP Address:2001:DB8:0:0:0:0:0:7/);
});

test('a device proves who it is in a TLS handshake', async (t) => {
  const { open, device: newDevice } = await bench(t);
  const keystore = await open();
  const { servers, clientAuthorities } = keystore.material;
  const { certificate: cert, privateKey: key } = servers[0]!;
  const trust = { ca: clientAuthorities, requestCert: true, rejectUnauthorized: true };
  const server = createServer({ cert, key, ...trust, minVersion: 'TLSv1.3' });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const device = await newDevice('pump 7');
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
  assert.deepEqual(identityOf(shown, ['san'], 'x'), { tenant: 'main', id: 'pump 7' });
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

test('once the authority has ended nothing is issued again and again, and what is expired stops the start', async (t) => {
  const { open, clock, lines } = await bench(t);
  const keystore = await open();
  clock.advance(1820 * dayMs);
  await keystore.renewIfDue();
  const { notAfterMs } = keystore.material.servers[0]!;
  assert.ok(notAfterMs < clock.wallMs() + 6 * dayMs);
  assert.equal(await keystore.renewIfDue(), false, 'not again and again');
  clock.advance(20 * dayMs);
  await assert.rejects(keystore.reload(), fails(/No certificate can be issued/, 'server.pem'));
  assert.match(lines.join('\n'), /not\.issued.*expired/);
});

test('a damaged server file is made again', async (t) => {
  const { directory, open } = await bench(t);
  const first = await open();
  await writeFile(join(directory, 'server.pem'), 'nonsense');
  assert.notDeepEqual((await open()).material, first.material);
});

test('own certificates are taken from files, and each mistake in them is told', async (t) => {
  const { directory, clock, open, device } = await bench(t);
  const keystore = await open();
  const file = (name: string): string => join(directory, name);
  const put = (name: string, text: string): Promise<void> => writeFile(file(name), text);
  const { certificate, privateKey } = keystore.material.servers[0]!;
  await put('own.crt', certificate);
  await put('own.key', privateKey);
  const other = await device('other');
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
  assert.equal(keystore.material.clientAuthorities, keystore.authorityCertificate, 'the file that was named');
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
