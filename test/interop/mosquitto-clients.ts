// mosquitto_pub and mosquitto_sub, from Debian's mosquitto-clients.

import assert from 'node:assert/strict';

import { until } from './checks.ts';
import { deviceName } from './heliograph-target.ts';
import { Child } from './process.ts';

import type { CheckContext, Checks } from './checks.ts';
import type { Target } from './target.ts';

type Version = 'mqttv31' | 'mqttv311' | 'mqttv5';

class Mosquitto {
  readonly #target: Target;
  readonly #context: CheckContext;
  readonly #common: readonly string[];

  constructor(target: Target, context: CheckContext, version: Version, connection: readonly string[]) {
    this.#target = target;
    this.#context = context;
    this.#common = ['-V', version, ...connection];
  }

  #arguments(rest: readonly string[]): string[] {
    const { credentials } = this.#target;
    const login = credentials === undefined ? [] : ['-u', credentials.username, '-P', credentials.password];
    return [...this.#common, ...login, ...rest];
  }

  /** Subscribes, and resolves once the broker has said so. Prints payloads only, after its protocol chatter. */
  async sub(...rest: string[]): Promise<Child> {
    const child = this.#context.child(new Child('mosquitto_sub', this.#arguments(['-d', ...rest])));
    await child.waitFor(/received SUBACK|Subscribed \(mid/);
    return child;
  }

  /** Runs mosquitto_sub to its end. */
  async subToEnd(...rest: string[]): Promise<string[]> {
    const child = this.#context.child(new Child('mosquitto_sub', this.#arguments(['-W', '15', ...rest])));
    return child.success();
  }

  async pub(...rest: string[]): Promise<string[]> {
    const child = this.#context.child(new Child('mosquitto_pub', this.#arguments(rest)));
    child.endInput();
    return child.success();
  }

  startPub(...rest: string[]): Child {
    return this.#context.child(new Child('mosquitto_pub', this.#arguments(rest)));
  }
}

/** Lines that are messages, not `-d` chatter. */
function messages(child: Child): string[] {
  return child.lines.filter((line) => !/^(Client |Subscribed )/.test(line));
}

const where = (target: Target): string[] => ['-h', target.tcp.host, '-p', String(target.tcp.port)];

export async function mosquittoChecks(checks: Checks, target: Target): Promise<void> {
  const each = (name: string, version: Version, body: (m: Mosquitto, u: string) => Promise<void>): Promise<void> =>
    checks.check(`mosquitto clients: ${version.replace('mqttv', '')}: ${name}`, (context) =>
      body(new Mosquitto(target, context, version, where(target)), context.unique),
    );
  for (const version of ['mqttv31', 'mqttv311', 'mqttv5'] as const) await everyVersion(each, version);
  await mqtt5Checks(each);
  await tlsChecks(checks, target);
}

type Each = (name: string, version: Version, body: (m: Mosquitto, u: string) => Promise<void>) => Promise<void>;

async function everyVersion(each: Each, version: Version): Promise<void> {
  for (const qos of ['0', '1', '2']) {
    await each(`QoS ${qos} from publisher to subscriber`, version, async (m, u) => {
      const sub = await m.sub('-t', `${u}/+`, '-q', qos, '-C', '3', '-F', '%t %q %p');
      for (const n of ['1', '2', '3']) await m.pub('-t', `${u}/${n}`, '-q', qos, '-m', `hello ${n}`);
      await sub.success();
      assert.deepEqual(
        messages(sub),
        ['1', '2', '3'].map((n) => `${u}/${n} ${qos} hello ${n}`),
      );
    });
  }

  await each('a thousand lines at QoS 2 arrive once and in order', version, async (m, u) => {
    const sub = await m.sub('-t', u, '-q', '2', '-C', '1000');
    const pub = m.startPub('-t', u, '-q', '2', '-l');
    for (let n = 0; n < 1000; n++) pub.write(`${n}\n`);
    pub.endInput();
    await pub.success();
    await sub.success();
    assert.deepEqual(
      messages(sub),
      Array.from({ length: 1000 }, (_, n) => String(n)),
    );
  });

  await each('retained message, and its removal', version, async (m, u) => {
    await m.pub('-t', u, '-r', '-q', '1', '-m', 'kept');
    assert.deepEqual(await m.subToEnd('-t', u, '-C', '1', '-F', '%r %p'), ['1 kept']);
    await m.pub('-t', u, '-r', '-n');
    const sub = await m.sub('-t', `${u}/#`, '-C', '1', '-F', '%r %p');
    await m.pub('-t', `${u}/x`, '-m', 'live');
    await sub.success();
    assert.deepEqual(messages(sub), ['0 live']);
  });

  await each('will of a client that vanishes', version, async (m, u) => {
    const watcher = await m.sub('-t', `${u}/will`, '-q', '1', '-C', '1', '-F', '%q %p');
    const doomed = await m.sub('-t', `${u}/x`, '--will-topic', `${u}/will`, '--will-payload', 'gone', '--will-qos', '1');
    doomed.kill('SIGKILL');
    await watcher.success();
    assert.deepEqual(messages(watcher), ['1 gone']);
  });

  await each('persistent session keeps what came meanwhile', version, async (m, u) => {
    const expiry = version === 'mqttv5' ? ['-x', '300'] : [];
    const session = ['-i', `${u}-s`, '-c', ...expiry, '-q', '1', '-t', u];
    await m.subToEnd(...session, '-E');
    for (const n of ['1', '2', '3']) await m.pub('-t', u, '-q', '1', '-m', n);
    assert.deepEqual(await m.subToEnd(...session, '-C', '3'), ['1', '2', '3']);
  });
}

async function mqtt5Checks(each: Each): Promise<void> {
  await each('PUBLISH properties arrive', 'mqttv5', async (m, u) => {
    const sub = await m.sub('-t', u, '-q', '1', '-C', '1', '-F', '%C|%R|%D|%F|%E|%P|%p');
    const d = (...rest: string[]): string[] => ['-D', 'publish', ...rest];
    const properties = [
      ...d('content-type', 'text/plain'),
      ...d('response-topic', 'reply/to'),
      ...d('correlation-data', 'c42'),
      ...d('payload-format-indicator', '1'),
      ...d('message-expiry-interval', '600'),
      ...d('user-property', 'k', 'v1'),
      ...d('user-property', 'k', 'v2'),
    ];
    await m.pub('-t', u, '-q', '1', '-m', 'body', ...properties);
    await sub.success();
    const [contentType, response, correlation, format, expiry, user, payload] = messages(sub)[0]!.split('|');
    assert.deepEqual([contentType, response, correlation, format, payload], ['text/plain', 'reply/to', 'c42', '1', 'body']);
    assert.ok(Number(expiry) > 590 && Number(expiry) <= 600, `expiry ${expiry}`);
    assert.match(user!, /k:v1 k:v2/);
  });

  await each('subscription identifier', 'mqttv5', async (m, u) => {
    const sub = await m.sub('-t', u, '-C', '1', '-F', '%S %p', '-D', 'subscribe', 'subscription-identifier', '77');
    await m.pub('-t', u, '-m', 'x');
    await sub.success();
    assert.deepEqual(messages(sub), ['77 x']);
  });

  await each('topic alias', 'mqttv5', async (m, u) => {
    const sub = await m.sub('-t', u, '-C', '3');
    const pub = m.startPub('-t', u, '-l', '-D', 'publish', 'topic-alias', '3');
    pub.write('1\n2\n3\n');
    pub.endInput();
    await pub.success();
    await sub.success();
    assert.deepEqual(messages(sub), ['1', '2', '3']);
  });

  await each('shared subscription divides the messages', 'mqttv5', async (m, u) => {
    const filter = `$share/group/${u}`;
    const first = await m.sub('-t', filter, '-q', '1');
    const second = await m.sub('-t', filter, '-q', '1');
    for (let n = 0; n < 20; n++) await m.pub('-t', u, '-q', '1', '-m', String(n));
    await until(() => messages(first).length + messages(second).length >= 20);
    const all = [...messages(first), ...messages(second)].map(Number).sort((a, b) => a - b);
    assert.deepEqual(
      all,
      Array.from({ length: 20 }, (_, n) => n),
    );
    assert.ok(messages(first).length > 0 && messages(second).length > 0, 'one of the two got nothing');
  });

  await each('retain as published', 'mqttv5', async (m, u) => {
    const sub = await m.sub('-t', u, '-C', '1', '-F', '%r %p', '--retain-as-published');
    await m.pub('-t', u, '-r', '-m', 'fresh');
    await sub.success();
    assert.deepEqual(messages(sub), ['1 fresh']);
    await m.pub('-t', u, '-r', '-n');
  });

  await each('will with delay is cancelled by a return in time', 'mqttv5', async (m, u) => {
    const watcher = await m.sub('-t', `${u}/will`, '-C', '1');
    const session = ['-i', `${u}-d`, '-c', '-x', '300', '-t', `${u}/x`];
    const will = ['--will-topic', `${u}/will`, '--will-payload', 'late', '-D', 'will', 'will-delay-interval', '60'];
    const doomed = await m.sub(...session, ...will);
    doomed.kill('SIGKILL');
    await doomed.exit();
    await m.subToEnd(...session, '-E');
    await m.pub('-t', `${u}/will`, '-m', 'only this');
    await watcher.success();
    assert.deepEqual(messages(watcher), ['only this']);
  });
}

async function tlsChecks(checks: Checks, target: Target): Promise<void> {
  const { tls, tlsFacts } = target;
  if (tls === undefined || tlsFacts === undefined) {
    checks.fail('mosquitto clients: TLS', 'the target has no TLS listener');
    return;
  }
  const secure = ['-h', tls.host, '-p', String(tls.port), '--cafile', tlsFacts.caFile];
  for (const version of ['mqttv311', 'mqttv5'] as const) {
    await checks.check(`mosquitto clients: ${version.slice(5)}: TLS with the broker's CA`, async (context) => {
      const m = new Mosquitto(target, context, version, secure);
      const sub = await m.sub('-t', context.unique, '-q', '1', '-C', '1');
      await m.pub('-t', context.unique, '-q', '1', '-m', 'sealed');
      await sub.success();
      assert.deepEqual(messages(sub), ['sealed']);
    });
  }
  const { client } = tlsFacts;
  if (client === undefined) {
    checks.fail('mosquitto clients: TLS with a client certificate', 'the target has issued none');
    return;
  }
  await checks.check('mosquitto clients: 311: TLS with a client certificate instead of a password', async (context) => {
    const identity = [...secure, '--cert', client.certFile, '--key', client.keyFile];
    const m = new Mosquitto({ ...target, credentials: undefined }, context, 'mqttv311', identity);
    const topic = deviceTopic(context.unique);
    const sub = await m.sub('-t', topic, '-q', '1', '-C', '1');
    await m.pub('-t', topic, '-q', '1', '-m', 'known');
    await sub.success();
    assert.deepEqual(messages(sub), ['known']);
  });
}

/** A topic that the device of the client certificate may use. */
function deviceTopic(unique: string): string {
  return `dev/${deviceName}/${unique}`;
}
