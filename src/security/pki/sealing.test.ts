import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { silentLog } from '../../base/log.ts';
import { secureRandom } from '../../base/secure-random.ts';
import { UserError } from '../../base/user-error.ts';
import { integer, octets, oid, sequence } from './der/der-writer.ts';
import { decryptPrivateKey, encryptPrivateKey, pemOf } from './encrypted-key.ts';
import { openSealer, type SealingOptions } from './sealing.ts';

const services = { random: secureRandom, log: silentLog };
const passphrase = 'correct horse battery';

async function place(
  t: TestContext,
): Promise<{ directory: string; open: (more?: Partial<SealingOptions>) => ReturnType<typeof openSealer> }> {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-'));
  t.after(() => rm(directory, { recursive: true }));
  return { directory, open: (more) => openSealer({ directory, ...more }, services) };
}

test('the first start makes a key file for its owner alone, later starts use it', async (t) => {
  const { directory, open } = await place(t);
  const first = await open();
  const sealed = first.seal(Buffer.from('secret'), 'psk/main/pump-7');
  assert.equal(first.source, 'key file');
  assert.equal((await stat(join(directory, 'seal.key'))).mode & 0o777, 0o600);
  assert.equal((await open()).unseal(sealed, 'psk/main/pump-7')?.toString(), 'secret');
  assert.doesNotMatch(sealed.toString('latin1'), /secret/);
});

test('what is sealed opens nowhere else, and with no other secret', async (t) => {
  const { directory, open } = await place(t);
  const sealer = await open({ passphrase });
  const sealed = sealer.seal(Buffer.from('secret'), 'psk/main/pump-7');
  assert.equal((await open({ passphrase })).unseal(sealed, 'psk/main/pump-7')?.toString(), 'secret');
  assert.equal(sealer.unseal(sealed, 'psk/main/pump-8'), undefined);
  assert.equal((await open({ passphrase: 'another horse' })).unseal(sealed, 'psk/main/pump-7'), undefined);
  for (const at of [0, 1, 20, 30, sealed.length - 1]) {
    const damaged = Buffer.from(sealed);
    damaged[at]! ^= 1;
    assert.equal(sealer.unseal(damaged, 'psk/main/pump-7'), undefined, `byte ${at}`);
  }
  assert.equal(sealer.unseal(sealed.subarray(0, 44), 'psk/main/pump-7'), undefined);
  // A copy of the sealed bytes opens on a node with the same passphrase but another salt of its own.
  await rm(join(directory, 'seal.salt'));
  assert.equal((await open({ passphrase })).unseal(sealed, 'psk/main/pump-7')?.toString(), 'secret');
});

test('a passphrase from a file goes before the environment, and bad secrets are told', async (t) => {
  const { directory, open } = await place(t);
  const file = join(directory, 'passphrase');
  await writeFile(file, `${passphrase}\n`, { mode: 0o600 });
  const sealed = (await open({ passphrase })).seal(Buffer.from('x'), 'a');
  assert.equal((await open({ passphraseFile: file, passphrase: 'something else' })).unseal(sealed, 'a')?.toString(), 'x');
  const isTold = (error: unknown): boolean => error instanceof UserError && error.where !== undefined && error.fix !== undefined;
  await assert.rejects(open({ passphraseFile: join(directory, 'missing') }), isTold);
  await assert.rejects(open({ passphrase: 'short' }), isTold);
  await writeFile(join(directory, 'seal.key'), 'damaged');
  await assert.rejects(open(), isTold);
  await chmod(file, 0o600);
});

test('OpenSSL opens an encrypted key, we open those of OpenSSL, and a wrong passphrase opens nothing', async (t) => {
  const { directory } = await place(t);
  const run = promisify(execFile);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = await encryptPrivateKey(privateKey, { secret: passphrase, source: 'passphrase' }, secureRandom);
  const [ours, theirs, plain] = ['ours.pem', 'theirs.pem', 'plain.pem'].map((name) => join(directory, name)) as [string, string, string];
  await writeFile(ours, pem);
  const shown = await run('openssl', ['pkey', '-in', ours, '-passin', `pass:${passphrase}`]);
  assert.equal(shown.stdout, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(plain, shown.stdout);
  for (const how of [['-scrypt'], ['-v2', 'aes-256-cbc', '-iter', '2000']]) {
    await run('openssl', ['pkcs8', '-topk8', '-in', plain, '-out', theirs, '-passout', `pass:${passphrase}`, ...how]);
    assert.ok((await decryptPrivateKey(await readFile(theirs, 'utf8'), passphrase))?.equals(privateKey), how.join(' '));
  }
  assert.ok((await decryptPrivateKey(pem, passphrase))?.equals(privateKey));
  assert.equal(await decryptPrivateKey(pem, 'wrong passphrase'), undefined);
  assert.equal(
    await decryptPrivateKey('-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----', passphrase),
    undefined,
  );
  assert.equal(await decryptPrivateKey('nothing', passphrase), undefined);
});

test('a key that asks for more work than anybody needs is not opened', async () => {
  const pbes2 = oid('1.2.840.113549.1.5.13');
  const cipher = sequence(oid('2.16.840.1.101.3.4.1.42'), octets(Buffer.alloc(16)));
  const derivations = {
    pbkdf2: sequence(oid('1.2.840.113549.1.5.12'), sequence(octets(Buffer.alloc(8)), integer(0x7fff_ffff))),
    scrypt: sequence(
      oid('1.3.6.1.4.1.11591.4.11'),
      sequence(octets(Buffer.alloc(8)), integer(16_384), integer(8), integer(0x00ff_ffff), integer(32)),
    ),
  };
  for (const [name, derivation] of Object.entries(derivations)) {
    const der = sequence(sequence(pbes2, sequence(derivation, cipher)), octets(Buffer.alloc(32)));
    const start = performance.now();
    assert.equal(await decryptPrivateKey(pemOf('ENCRYPTED PRIVATE KEY', der), 'passphrase'), undefined);
    assert.ok(performance.now() - start < 5000, name);
  }
});
