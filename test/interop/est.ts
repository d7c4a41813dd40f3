// EST (RFC 7030) and requests over MQTT, with curl, openssl, mosquitto and the EST client of GlobalSign: a device that has nothing but a
// token comes to a certificate, connects by it, renews it in two ways, and is refused where it must be.

import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, run } from './process.ts';

import type { CheckContext, Checks } from './checks.ts';
import type { Target } from './target.ts';

const buildLimitSeconds = '150';
const runLimitMs = 60_000;
const pkcs10 = ['-H', 'Content-Type: application/pkcs10'];

export async function estChecks(checks: Checks, target: Target, suites: string | undefined): Promise<void> {
  const { enrolment, tls, tlsFacts } = target;
  if (enrolment === undefined || tls === undefined || tlsFacts === undefined) return;
  const check = (name: string, body: (device: Device) => Promise<void>): Promise<void> =>
    checks.check(`EST: ${name}`, async (context) => {
      const folder = await mkdtemp(join(tmpdir(), 'interop-est-'));
      context.after(() => rm(folder, { recursive: true, force: true }));
      await body(new Device(target as Required<Target>, context, folder));
    });
  await check('curl and openssl: cacerts, csrattrs', authorities);
  await check('curl and openssl: simpleenroll by a token, mosquitto_pub by that certificate, simplereenroll', firstAndNext);
  await check('curl and openssl: serverkeygen', keyFromServer);
  await check('curl: what is refused', refused);
  await check('curl: the certificate of a device that was disabled is refused', revoked);
  for (const version of ['mqttv311', 'mqttv5']) {
    await check(`mosquitto clients: request over MQTT (${version.slice(5)})`, (device) => overMqtt(device, version));
  }
  await globalsign(checks, target as Required<Target>, suites);
}

/** A device with its folder, and what it knows at first: an address, an authority, its id. */
class Device {
  readonly id: string;
  readonly #target: Required<Target>;
  readonly #context: CheckContext;
  readonly #folder: string;

  constructor(target: Required<Target>, context: CheckContext, folder: string) {
    this.#target = target;
    this.#context = context;
    this.#folder = folder;
    this.id = `est-${context.unique}`;
  }

  get ca(): string {
    return this.#target.tlsFacts!.caFile;
  }

  file(name: string): string {
    return join(this.#folder, name);
  }

  text(name: string): Promise<string> {
    return readFile(this.file(name), 'utf8');
  }

  token(...options: string[]): Promise<string> {
    return this.#target.enrolment!.token(this.id, ...options);
  }

  cli(...args: string[]): Promise<string> {
    return this.#target.enrolment!.cli(...args);
  }

  /** Through a shell in the device's folder. */
  async shell(command: string): Promise<string> {
    const { code, output } = await run('bash', ['-o', 'pipefail', '-c', command], { cwd: this.#folder });
    if (code !== 0) throw new Error(`${command}\nended with ${code}:\n${output}`);
    return output;
  }

  /** Makes `NAME.key` and `NAME.csr`, base64 of DER. */
  async request(name: string, subject = `/CN=${this.id}`): Promise<void> {
    const key = `-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${name}.key`;
    await this.shell(`openssl req -new ${key} -subj ${subject} -outform DER 2>/dev/null | base64 > ${name}.csr`);
  }

  /** Asks by curl; the status, with the body in `answer`. */
  async curl(operation: string, ...options: string[]): Promise<number> {
    const { host, port } = this.#target.enrolment!.est;
    const url = `https://${host}:${port}/.well-known/est/${operation}`;
    const args = ['-sS', '--cacert', this.ca, '-o', this.file('answer'), '-w', '%{http_code}', ...options, url];
    const { code, output } = await run('curl', args, { cwd: this.#folder });
    if (code !== 0) throw new Error(`curl ${operation} ended with ${code}:\n${output}`);
    return Number(output);
  }

  post(operation: string, csr: string, ...options: string[]): Promise<number> {
    return this.curl(operation, ...pkcs10, '--data-binary', `@${csr}.csr`, ...options);
  }

  /** What is in `answer`, as PEM in `name`. */
  async keep(name: string): Promise<void> {
    await this.shell(`base64 -d answer | openssl pkcs7 -inform DER -print_certs -out ${name}`);
  }

  /** The certificate in `NAME.pem` leads to the authority and fits the key in `NAME.key`. */
  async verify(name: string): Promise<void> {
    await this.curl('cacerts');
    await this.keep('issuers.pem');
    await this.shell(`openssl verify -x509_strict -purpose sslclient -CAfile ${this.ca} -untrusted issuers.pem ${name}.pem`);
    await this.shell(`diff <(openssl x509 -in ${name}.pem -noout -pubkey) <(openssl pkey -in ${name}.key -pubout)`);
  }

  async enrol(name: string): Promise<void> {
    await this.request(name);
    const status = await this.post('simpleenroll', name, '-u', `${this.id}:${await this.token('--new-devices')}`);
    assert.equal(status, 200, await this.text('answer'));
    await this.keep(`${name}.pem`);
    await this.verify(name);
  }

  byCertificate(name: string): string[] {
    return ['--cert', `${name}.pem`, '--key', `${name}.key`];
  }

  mosquitto(program: 'mosquitto_pub' | 'mosquitto_sub', name: string, ...rest: string[]): Child {
    const { host, port } = this.#target.tls!;
    const args = ['-h', host, '-p', String(port), '--cafile', this.ca, ...this.byCertificate(name), ...rest];
    return this.#context.child(new Child(program, args, { cwd: this.#folder }));
  }

  async publishes(name: string): Promise<void> {
    const child = this.mosquitto('mosquitto_pub', name, '-i', this.id, '-t', `dev/${this.id}/x`, '-q', '1', '-m', 'hello');
    child.endInput();
    await child.success();
  }
}

async function authorities(device: Device): Promise<void> {
  assert.equal(await device.curl('cacerts'), 200);
  await device.keep('issuers.pem');
  const root = (await device.shell(`openssl x509 -in ${device.ca} -noout -fingerprint -sha256`)).trim();
  assert.equal((await device.shell('openssl x509 -in issuers.pem -noout -fingerprint -sha256')).trim(), root, 'the root comes first');
  assert.equal(await device.curl('csrattrs'), 200);
  const printed = await device.shell('base64 -d answer | openssl asn1parse -inform DER');
  assert.match(printed, /id-ecPublicKey[^]*prime256v1[^]*ecdsa-with-SHA256/);
}

async function firstAndNext(device: Device): Promise<void> {
  await device.enrol('first');
  await device.publishes('first');
  await device.request('next');
  assert.equal(await device.post('simplereenroll', 'next', ...device.byCertificate('first')), 200, await device.text('answer'));
  await device.keep('next.pem');
  await device.verify('next');
  await device.publishes('next');
}

async function keyFromServer(device: Device): Promise<void> {
  await device.request('own');
  const status = await device.post('serverkeygen', 'own', '-u', `${device.id}:${await device.token('--new-devices')}`);
  const body = await device.text('answer');
  assert.equal(status, 200, body);
  // Blocks of base64, the key's first.
  const parts = body.split(/^--.*$/m).map((part) => part.split('\r\n\r\n')[1]?.trim());
  await writeFile(device.file('made.der'), Buffer.from(parts[1]!, 'base64'));
  await device.shell('openssl pkey -inform DER -in made.der -out made.key');
  await writeFile(device.file('answer'), `${parts[2]!}\n`);
  await device.keep('made.pem');
  await device.verify('made');
  await device.publishes('made');
}

async function refused(device: Device): Promise<void> {
  await device.request('own');
  await device.request('other', '/CN=somebody-else');
  assert.equal(await device.post('simpleenroll', 'own'), 401);
  assert.equal(await device.post('simpleenroll', 'own', '-u', `${device.id}:hgt_${'0'.repeat(32)}`), 401);
  const token = await device.token('--new-devices');
  const authorized = ['-u', `${device.id}:${token}`];
  assert.equal(await device.post('simpleenroll', 'other', ...authorized), 400);
  assert.equal(await device.curl('simpleenroll', '--data-binary', '@own.csr', ...authorized), 415);
  assert.equal(await device.curl('simpleenroll', ...authorized), 405);
  assert.equal(await device.post('fullcmc', 'own', ...authorized), 501);
  assert.equal(await device.post('nothing', 'own', ...authorized), 404);
  assert.equal(await device.post('simpleenroll', 'own', ...authorized), 200, 'the token was not used up by any of these');
  await device.keep('own.pem');
  assert.equal(await device.post('simpleenroll', 'own', ...authorized), 403, 'now it is');
  await device.request('weak');
  await device.shell(
    `openssl req -new -newkey rsa:1024 -nodes -keyout weak.key -subj /CN=${device.id} -outform DER 2>/dev/null | base64 > weak.csr`,
  );
  assert.equal(await device.post('simplereenroll', 'weak', ...device.byCertificate('own')), 400, 'a key that is too short');
}

async function revoked(device: Device): Promise<void> {
  await device.enrol('own');
  await device.request('next');
  await device.cli('device', 'disable', device.id);
  // TLS 1.3 tells the client after its handshake: curl says so as an error, or as no answer.
  const status = await device.post('simplereenroll', 'next', ...device.byCertificate('own')).catch(() => 0);
  assert.ok(status === 0 || status === 403, `it was answered with ${status}`);
}

async function overMqtt(device: Device, version: string): Promise<void> {
  await device.enrol('own');
  await device.shell(
    `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout next.key -subj /CN=${device.id} -out next.csr 2>/dev/null`,
  );
  const topic = `$enrol/${device.id}`;
  const listener = device.mosquitto(
    'mosquitto_sub',
    'own',
    '-V',
    version,
    '-i',
    `${device.id}-in`,
    '-d',
    '-C',
    '1',
    '-t',
    `${topic}/response`,
  );
  await listener.waitFor(/received SUBACK/);
  const asking = device.mosquitto(
    'mosquitto_pub',
    'own',
    '-V',
    version,
    '-i',
    device.id,
    '-q',
    '1',
    '-t',
    `${topic}/request`,
    '-f',
    'next.csr',
  );
  asking.endInput();
  await asking.success();
  await listener.waitFor(/END CERTIFICATE/);
  const lines = await listener.success();
  await writeFile(device.file('next.pem'), `${lines.slice(lines.indexOf('-----BEGIN CERTIFICATE-----')).join('\n')}\n`);
  await device.verify('next');
  await device.publishes('next');
}

async function globalsign(checks: Checks, target: Required<Target>, suites: string | undefined): Promise<void> {
  const name = 'globalsign/est';
  if (!checks.wanted(name)) return;
  const folder = await mkdtemp(join(tmpdir(), 'interop-build-'));
  try {
    const problem = await build(folder, suites);
    if (problem !== undefined) {
      checks.skip(name, problem);
      return;
    }
    const { enrolment, tlsFacts } = target;
    const id = `globalsign${process.pid}`;
    const args = [
      `${enrolment!.est.host}:${enrolment!.est.port}`,
      tlsFacts!.caFile,
      id,
      await enrolment!.token(id, '--new-devices', '--uses', '2'),
    ];
    const child = new Child(join(folder, 'client'), args);
    child.endInput();
    const timer = setTimeout(() => child.kill('SIGKILL'), runLimitMs);
    await child.exit();
    clearTimeout(timer);
    for (const line of child.lines) {
      const [, result, what, why] = /^(ok|fail) ([^:]+)(?:: (.*))?$/.exec(line) ?? [];
      if (result === 'ok') checks.pass(`${name}: ${what}`);
      else if (result === 'fail') checks.fail(`${name}: ${what}`, why!);
    }
    if (!child.lines.includes('@end')) checks.fail(name, `did not end:\n${child.tail()}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** From a checkout, or the published module; returns why neither can be had. */
async function build(folder: string, suites: string | undefined): Promise<string | undefined> {
  if ((await run('sh', ['-c', 'command -v go'])).code !== 0) return 'Go is not installed';
  await cp(fileURLToPath(new URL('globalsign-est', import.meta.url)), folder, { recursive: true });
  const checkout = suites === undefined ? undefined : join(suites, 'est');
  if (checkout !== undefined && (await stat(checkout).catch(() => undefined)) !== undefined) {
    const replaced = await run('go', ['mod', 'edit', '-replace', `github.com/globalsign/est=${checkout}`], { cwd: folder });
    if (replaced.code !== 0) return `the checkout cannot be used: ${replaced.output}`;
  }
  const env = { ...process.env, GOFLAGS: '-mod=mod' };
  const { code, output } = await run('timeout', [buildLimitSeconds, 'go', 'build', '-o', 'client', '.'], { cwd: folder, env });
  const lines = output
    .trim()
    .split('\n')
    .map((line) => line.trim());
  return code === 0 ? undefined : `could not be built: ${lines.find((line) => /github\.com\/globalsign\/est/.test(line)) ?? lines.at(-1)}`;
}
