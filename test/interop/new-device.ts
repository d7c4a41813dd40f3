// A device as a new user meets it: added with one command, it connects with what that command wrote, on MQTT over TLS and over secure
// WebSocket; it may use its own topics and no others; revoked, it is gone within two seconds and not let in again. And everybody
// agrees that its chain is good: openssl, Node, Java.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';

import mqtt from 'mqtt';

import { until } from './checks.ts';
import { Child, run } from './process.ts';

import type { MqttClient } from 'mqtt';
import type { CheckContext, Checks } from './checks.ts';
import type { Endpoint, Target } from './target.ts';

const goneWithinMs = 2000;

type Cli = NonNullable<Target['enrolment']>['cli'];

export async function newDeviceChecks(checks: Checks, target: Target): Promise<void> {
  const { enrolment, tls, wss } = target;
  if (enrolment === undefined || tls === undefined || wss === undefined) return;
  const check = (name: string, body: (device: NewDevice) => Promise<void>): Promise<void> =>
    checks.check(`new device: ${name}`, async (context) => body(await NewDevice.add(enrolment.cli, context)));
  await check('mosquitto clients: its own topics, no others; revoked, cut off and kept out', (device) => overTls(device, tls));
  await check('MQTT.js over wss: the same', (device) => overWss(device, wss));
  await check('its chain is good for openssl', chainForOpenssl);
  await check('its chain is good for Node', (device) => chainForNode(device, tls));
  if (await hasJava()) await check('its chain, and the handshake, are good for Java', (device) => chainForJava(device, tls));
  else checks.skip('new device: its chain, and the handshake, are good for Java', 'there is no java on this machine');
}

class NewDevice {
  readonly id: string;
  readonly folder: string;
  readonly context: CheckContext;
  readonly #cli: Cli;

  private constructor(cli: Cli, context: CheckContext, folder: string) {
    this.#cli = cli;
    this.context = context;
    this.id = `new-${context.unique}`;
    this.folder = join(folder, 'device');
  }

  static async add(cli: Cli, context: CheckContext): Promise<NewDevice> {
    const folder = await mkdtemp(join(tmpdir(), 'interop-device-'));
    context.after(() => rm(folder, { recursive: true, force: true }));
    const device = new NewDevice(cli, context, folder);
    await cli('device', 'add', device.id, '--out', device.folder);
    return device;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  read(name: string): Promise<string> {
    return readFile(this.file(name), 'utf8');
  }

  /** Returns when the command has said so. */
  async revoke(): Promise<void> {
    await this.#cli('certificate', 'revoke', '--device', this.id, '--reason', 'keyCompromise');
  }
}

async function overTls(device: NewDevice, { host, port }: Endpoint): Promise<void> {
  const files = ['--cafile', device.file('ca.crt'), '--cert', device.file('chain.crt'), '--key', device.file('device.key')];
  const common = ['-V', '5', '-h', host, '-p', String(port), ...files];
  const sub = device.context.child(new Child('mosquitto_sub', [...common, '-i', device.id, '-t', `dev/${device.id}/#`, '-q', '1', '-d']));
  await sub.waitFor(/received SUBACK/);
  const pub = (topic: string): Promise<{ code: number; output: string }> =>
    run('mosquitto_pub', [...common, '-i', `${device.id}-p`, '-q', '1', '-t', topic, '-m', 'hello']);
  const own = await pub(`dev/${device.id}/hello`);
  assert.deepEqual(own, { code: 0, output: '' });
  await sub.waitFor(/^hello$|hello$/);
  const other = await pub('dev/pump-8/hello');
  assert.match(other.output, /not authorized/i);
  await device.revoke();
  const revokedMs = performance.now();
  await sub.exit();
  const goneMs = performance.now() - revokedMs;
  assert.ok(goneMs <= goneWithinMs, `gone after ${goneMs.toFixed(0)} ms`);
  const late = await pub(`dev/${device.id}/hello`);
  assert.notEqual(late.code, 0, 'refused at the handshake');
}

async function overWss(device: NewDevice, { host, port }: Endpoint): Promise<void> {
  const [ca, cert, key] = await Promise.all([device.read('ca.crt'), device.read('chain.crt'), device.read('device.key')]);
  const open = (): Promise<MqttClient> =>
    mqtt.connectAsync(`wss://${host}:${port}/mqtt`, { protocolVersion: 5, reconnectPeriod: 0, connectTimeout: 5000, ca, cert, key });
  const client = await open();
  device.context.after(() => client.endAsync(true));
  client.on('error', () => {});
  let received = 0;
  client.on('message', () => received++);
  const granted = await client.subscribeAsync(`dev/${device.id}/#`, { qos: 1 });
  assert.equal(granted[0]!.qos, 1);
  await client.publishAsync(`dev/${device.id}/hello`, 'hello', { qos: 1 });
  await until(() => received === 1);
  await assert.rejects(client.publishAsync('dev/pump-8/hello', 'hello', { qos: 1 }), /not authorized/i);
  await device.revoke();
  const revokedMs = performance.now();
  await until(() => !client.connected);
  const goneMs = performance.now() - revokedMs;
  assert.ok(goneMs <= goneWithinMs, `gone after ${goneMs.toFixed(0)} ms`);
  await assert.rejects(async () => {
    const again = await open();
    await again.endAsync(true);
  }, 'refused at the handshake');
}

async function chainForOpenssl(device: NewDevice): Promise<void> {
  const args = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'ca.crt', '-untrusted', 'chain.crt', 'device.crt'];
  const { code, output } = await run('openssl', args, { cwd: device.folder });
  assert.equal(code, 0, output);
}

async function chainForNode(device: NewDevice, { host, port }: Endpoint): Promise<void> {
  const [ca, chain, key] = await Promise.all([device.read('ca.crt'), device.read('chain.crt'), device.read('device.key')]);
  const [leaf, issuing] = chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)!.map((pem) => new X509Certificate(pem));
  const root = new X509Certificate(ca);
  assert.ok(
    leaf!.checkIssued(issuing!) && leaf!.verify(issuing!.publicKey) && issuing!.checkIssued(root) && issuing!.verify(root.publicKey),
  );
  assert.equal(leaf!.subjectAltName, `URI:heliograph:main/${device.id}`);
  await new Promise<void>((resolve, reject) => {
    const socket = connectTls({ host, port, servername: host, ca, cert: chain, key }, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

async function hasJava(): Promise<boolean> {
  return (await run('java', ['-version'])).code === 0;
}

async function chainForJava(device: NewDevice, { host, port }: Endpoint): Promise<void> {
  const pkcs8 = await run('openssl', ['pkcs8', '-topk8', '-nocrypt', '-in', 'device.key', '-outform', 'DER', '-out', 'device.der'], {
    cwd: device.folder,
  });
  assert.equal(pkcs8.code, 0, pkcs8.output);
  const program = fileURLToPath(new URL('ChainCheck.java', import.meta.url));
  const { code, output } = await run('java', [program, device.folder, host, String(port)]);
  assert.equal(code, 0, output);
  assert.match(output, /^path valid; TLSv1\.3$/m);
}
