// openssl as a relying party: lists, OCSP and chains of our authorities; and a revoked certificate at the handshake.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from './checks.ts';
import { startHeliograph } from './heliograph-target.ts';
import { run } from './process.ts';

import type { Checks } from './checks.ts';
import type { Target } from './target.ts';

type Issued = {
  readonly certificate: string;
  readonly chain: string;
  readonly root: string;
  readonly privateKey: string;
  readonly fingerprint: string;
};

/** A relying party's desk: files, openssl, and what the broker serves. */
class Desk {
  readonly folder: string;
  readonly publicUrl: string;
  readonly #api: string;
  readonly #authorization: string;

  constructor(folder: string, target: Target, portOffset: number) {
    this.folder = folder;
    this.publicUrl = `http://127.0.0.1:${8086 + portOffset}`;
    this.#api = `http://127.0.0.1:${8080 + portOffset}/api/v1`;
    const { username, password } = target.credentials!;
    this.#authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }

  async post(path: string, body: object): Promise<unknown> {
    const headers = { 'Content-Type': 'application/json', Authorization: this.#authorization };
    const response = await fetch(this.#api + path, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, `POST ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as unknown;
  }

  /** A device with its certificate, as the files NAME.pem, NAME.key and chain.pem, and root.pem to trust. */
  async device(name: string): Promise<Issued> {
    await this.post('/devices', { id: name });
    const issued = (await this.post('/certificates', { owner: { kind: 'device', id: name } })) as Issued;
    await this.write(`${name}.pem`, issued.certificate);
    await this.write(`${name}.key`, issued.privateKey);
    await this.write(`${name}-chain.pem`, issued.certificate + issued.chain);
    await this.write('chain.pem', issued.chain);
    await this.write('root.pem', issued.root);
    return issued;
  }

  async revoke({ fingerprint }: Issued): Promise<void> {
    await this.post(`/certificates/${fingerprint}/revoke`, { reason: 'keyCompromise' });
  }

  async write(name: string, content: string | Uint8Array): Promise<void> {
    await writeFile(join(this.folder, name), content);
  }

  /** Fetches a list and gives it to openssl as PEM. */
  async list(authority: string, name: string): Promise<string> {
    const response = await fetch(`${this.publicUrl}/crl/${authority}.crl`);
    assert.equal(response.status, 200, authority);
    await this.write(`${name}.crl`, Buffer.from(await response.arrayBuffer()));
    await this.openssl('crl', '-inform', 'DER', '-in', `${name}.crl`, '-out', `${name}.pem`);
    return readFile(join(this.folder, `${name}.pem`), 'utf8');
  }

  async openssl(...args: string[]): Promise<string> {
    const { code, output } = await this.tryOpenssl(...args);
    assert.equal(code, 0, `openssl ${args.join(' ')}: ${output}`);
    return output;
  }

  tryOpenssl(...args: string[]): Promise<{ code: number; output: string }> {
    return run('openssl', args, { cwd: this.folder });
  }

  /** The id of the authority whose certificate the file holds: SHA-256 of its public key. */
  async authorityOf(file: string): Promise<string> {
    await this.openssl('x509', '-in', file, '-noout', '-pubkey', '-out', `${file}.pub`);
    await this.openssl('pkey', '-pubin', '-in', `${file}.pub`, '-outform', 'DER', '-out', `${file}.der`);
    return /([0-9a-f]{64})/.exec(await this.openssl('dgst', '-sha256', `${file}.der`))![1]!;
  }

  /** What the responder says, over HTTP. */
  ocsp(name: string, nonce: string, digest = '-sha1'): Promise<string> {
    const about = [
      digest,
      '-issuer',
      'chain.pem',
      '-cert',
      `${name}.pem`,
      '-CAfile',
      'root.pem',
      '-verify_other',
      'chain.pem',
      '-VAfile',
      'chain.pem',
    ];
    return this.openssl('ocsp', ...about, '-url', `${this.publicUrl}/ocsp`, nonce);
  }
}

export async function revocationChecks(checks: Checks, portOffset: number): Promise<void> {
  if (!checks.wanted('revocation')) return;
  const folder = await mkdtemp(join(tmpdir(), 'interop-revocation-'));
  const target = await startHeliograph(portOffset, `pki:\n  publicUrl: http://127.0.0.1:${8086 + portOffset}\n`);
  const desk = new Desk(folder, target, portOffset);
  try {
    await beforeAndAfter(checks, desk);
    await atTheHandshake(checks, desk, target);
  } finally {
    await target.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function beforeAndAfter(checks: Checks, desk: Desk): Promise<void> {
  await checks.check('revocation: openssl verifies the lists of all authorities, and finds nobody on them', async ({ unique }) => {
    await desk.device(unique);
    const lists = [];
    for (const [i, file] of ['chain.pem', 'root.pem'].entries()) {
      lists.push(await desk.list(await desk.authorityOf(file), `list-${i}`));
      const text = await desk.openssl('crl', '-in', `list-${i}.pem`, '-CAfile', file, '-noout', '-text');
      assert.match(text, /X509v3 CRL Number/);
    }
    await desk.write('lists.pem', lists.join(''));
    const chain = ['-CAfile', 'root.pem', '-untrusted', 'chain.pem', '-CRLfile', 'lists.pem', '-crl_check_all'];
    await desk.openssl('verify', ...chain, `${unique}.pem`);
  });
  await checks.check(
    'revocation: openssl ocsp says good, then revoked within two seconds, with and without a nonce',
    async ({ unique }) => {
      const issued = await desk.device(unique);
      for (const nonce of ['-nonce', '-no_nonce']) assert.match(await desk.ocsp(unique, nonce), /: good/);
      assert.match(await desk.ocsp(unique, '-nonce', '-sha256'), /: good/);
      const revokedMs = performance.now();
      await desk.revoke(issued);
      for (const nonce of ['-nonce', '-no_nonce']) assert.match(await desk.ocsp(unique, nonce), /: revoked[^]*keyCompromise/);
      assert.ok(performance.now() - revokedMs < 2000, 'within two seconds');
    },
  );
  await checks.check('revocation: openssl verify -crl_check refuses a revoked certificate within two seconds', async ({ unique }) => {
    const issued = await desk.device(unique);
    const issuing = await desk.authorityOf('chain.pem');
    const verify = async (): Promise<string> => {
      await desk.list(issuing, 'now');
      const chain = ['-CAfile', 'root.pem', '-untrusted', 'chain.pem', '-CRLfile', 'now.pem', '-crl_check'];
      return (await desk.tryOpenssl('verify', ...chain, `${unique}.pem`)).output;
    };
    assert.match(await verify(), /OK/);
    const base = await desk.list(issuing, 'base');
    const revokedMs = performance.now();
    await desk.revoke(issued);
    await until(async () => /certificate revoked/.test(await verify()));
    assert.ok(performance.now() - revokedMs < 2000, 'within two seconds');
    // Whoever has an earlier list needs the difference only.
    await desk.write('both.pem', base + (await desk.list(`${issuing}-delta`, 'delta')));
    const chain = ['-CAfile', 'root.pem', '-untrusted', 'chain.pem', '-CRLfile', 'both.pem', '-crl_check', '-extended_crl', '-use_deltas'];
    assert.match((await desk.tryOpenssl('verify', ...chain, `${unique}.pem`)).output, /certificate revoked/);
  });
}

async function atTheHandshake(checks: Checks, desk: Desk, target: Target): Promise<void> {
  await checks.check('revocation: a revoked device is refused at the handshake at once', async ({ unique }) => {
    const issued = await desk.device(unique);
    const { host, port } = target.tls!;
    const identity = ['--cafile', target.tlsFacts!.caFile, '--cert', `${unique}-chain.pem`, '--key', `${unique}.key`];
    const publish = async (): Promise<number> => {
      const args = ['-h', host, '-p', String(port), ...identity, '-i', unique, '-t', `dev/${unique}/x`, '-m', 'x', '-q', '1'];
      return (await run('mosquitto_pub', args, { cwd: desk.folder })).code;
    };
    assert.equal(await publish(), 0);
    await desk.revoke(issued);
    assert.notEqual(await publish(), 0);
    assert.match(target.name === 'heliograph' ? (target as { log?: () => string }).log!() : '', /tls\.certificate\.refused/);
  });
}
