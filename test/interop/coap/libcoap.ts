// libcoap's own client in Debian's three builds: without TLS, with OpenSSL, with GnuTLS.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';

import { until } from '../checks.ts';
import { Child, run } from '../process.ts';

import type { CheckContext, Checks } from '../checks.ts';
import type { CoapTarget } from './coap-target.ts';

type Build = 'notls' | 'openssl' | 'gnutls';

const MiB = 1024 * 1024;
const limitMs = 60_000;
/** Keys are bytes to bash, and nothing is run before the command. */
const env = { ...process.env, LC_ALL: 'C', BASH_ENV: '' };

class Libcoap {
  readonly #target: CoapTarget;
  readonly context: CheckContext;
  readonly #build: Build;
  readonly #base: string;
  /** Who it is: arguments in bash's words. */
  readonly #who: string;

  constructor(target: CoapTarget, context: CheckContext, build: Build = 'notls', base = `coap://127.0.0.1:${target.coap.port}`, who = '') {
    this.#target = target;
    this.context = context;
    this.#build = build;
    this.#base = base;
    this.#who = who;
  }

  #command(method: string, path: string, options: readonly string[], lastsSec: number): string {
    const quoted = [...options, `${this.#base}/${path}`].map((word) => `'${word}'`).join(' ');
    return `exec coap-client-${this.#build} -B ${lastsSec} ${this.#who} -m ${method} ${quoted}`;
  }

  /** What it prints: the answer, or a code that is an error. Not what its TLS library thinks of datagrams that come late. */
  async ask(method: string, path: string, ...options: readonly string[]): Promise<string> {
    const { output } = await run('bash', ['-c', this.#command(method, path, options, 30)], { env });
    return output
      .split('\n')
      .filter((line) => !/^\w{3} \d\d [\d:.]+ WARN /.test(line))
      .join('\n');
  }

  observe(path: string, ...options: readonly string[]): Child {
    const command = this.#command('get', path, ['-s', '40', '-w', ...options], 50);
    return this.context.child(new Child('bash', ['-c', command], { env }));
  }

  file(name: string): string {
    return join(this.#target.folder, `${this.context.unique}-${name}`);
  }
}

function same(actual: string, expected: string): void {
  if (actual !== expected) throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual.slice(0, 500))}`);
}

/** Up and down again, unchanged. */
async function carries(client: Libcoap, bytes: number, ...options: readonly string[]): Promise<void> {
  const payload = randomBytes(bytes);
  const [up, down] = [client.file('up'), client.file('down')];
  const topic = `t/${client.context.unique}/large`;
  await writeFile(up, payload);
  same(await client.ask('put', topic, '-f', up, ...options), '');
  same(await client.ask('get', topic, '-o', down, ...options), '');
  if (!payload.equals(await readFile(down))) throw new Error('what came back is not what was sent');
}

/** Each method once. */
async function keeps(client: Libcoap, ...options: readonly string[]): Promise<void> {
  const topic = `t/${client.context.unique}/value`;
  same((await client.ask('get', topic, ...options)).slice(0, 4), '4.04');
  same(await client.ask('put', topic, '-e', 'one', ...options), '');
  same(await client.ask('get', topic, ...options), 'one');
  same(await client.ask('put', topic, '-e', 'two', ...options), '');
  same(await client.ask('post', topic, '-e', 'three', ...options), '');
  same(await client.ask('get', topic, ...options), 'two');
  same(await client.ask('delete', topic, ...options), '');
  same((await client.ask('get', topic, ...options)).slice(0, 4), '4.04');
}

/** What is kept first, and then each change. */
async function observes(client: Libcoap, ...options: readonly string[]): Promise<void> {
  const topic = `t/${client.context.unique}/observed`;
  await client.ask('put', topic, '-e', 'first');
  const observer = client.observe(topic, ...options);
  await observer.waitFor(/^first$/);
  for (const value of ['second', 'third']) {
    await client.ask('put', topic, '-e', value);
    await observer.waitFor(new RegExp(`^${value}$`));
  }
  // A wildcard is one address, percent-encoded.
  const all = client.observe(`t/${client.context.unique}/%23`, ...options);
  await until(async () => {
    await client.ask('post', `t/${client.context.unique}/some/where`, '-e', 'anything');
    return all.lines.includes('anything');
  });
}

const quote = (text: string): string => `'${text}'`;
const inBash = (hex: string): string => `$'${hex.replaceAll(/../g, (byte) => `\\x${byte}`)}'`;

async function inClear(checks: Checks, target: CoapTarget): Promise<void> {
  const tcp = `coap+tcp://127.0.0.1:${target.coap.port}`;
  const check = (name: string, body: (client: Libcoap) => Promise<void>): Promise<void> =>
    checks.check(`libcoap: ${name}`, (context) => body(new Libcoap(target, context)), limitMs);
  const overTcp = (name: string, body: (client: Libcoap) => Promise<void>): Promise<void> =>
    checks.check(`libcoap over TCP: ${name}`, (context) => body(new Libcoap(target, context, 'notls', tcp)), limitMs);
  await check('put, get, post, delete, confirmable', (client) => keeps(client));
  await check('put, get, post, delete, not confirmable', (client) => keeps(client, '-N'));
  await check('observes, confirmable', (client) => observes(client));
  await check('observes, not confirmable', (client) => observes(client, '-N'));
  await check('1 MiB up and down in blocks of 1024', (client) => carries(client, MiB));
  await check('100 KiB in blocks of 16', (client) => carries(client, 100 * 1024, '-b', '16'));
  await check('a block from the middle', async (client) => {
    const topic = `t/${client.context.unique}/middle`;
    await client.ask('put', topic, '-e', 'x'.repeat(64) + 'y'.repeat(64) + 'z'.repeat(64));
    const text = await client.ask('get', topic, '-b', '1,64');
    if (!text.startsWith('y'.repeat(64))) throw new Error(text);
  });
  await check('an observed value larger than a block', async (client) => {
    const topic = `t/${client.context.unique}/wide`;
    await client.ask('put', topic, '-e', 'a'.repeat(3000));
    const observer = client.observe(topic);
    await observer.waitFor((line) => line.includes('a'.repeat(3000)));
    await client.ask('put', topic, '-e', 'b'.repeat(3000));
    await observer.waitFor((line) => line.includes('b'.repeat(3000)));
  });
  // It repeats what is lost after two to three seconds.
  await check('30 KiB both ways although every twentieth datagram is lost', (client) => carries(client, 30 * 1024, '-l', '5%'));
  await check('too large a body is refused, and with how much would do', async (client) => {
    const file = client.file('huge');
    await writeFile(file, randomBytes(3 * MiB));
    const output = await client.ask('put', `t/${client.context.unique}`, '-f', file);
    if (!output.includes('4.13')) throw new Error(output);
  });
  await check('a queue gives each message to one', async (client) => {
    const queue = `q/${client.context.unique}`;
    for (const text of ['one', 'two']) same(await client.ask('post', queue, '-e', text), '');
    same(await client.ask('get', queue), 'one');
    same(await client.ask('get', queue), 'two');
  });
  await check('discovery', async (client) => {
    const links = await client.ask('get', '.well-known/core');
    if (!links.includes('</t>') || !links.includes('</rd>')) throw new Error(links);
    const filtered = await client.ask('get', '.well-known/core?rt=core.rd');
    if (!filtered.includes('</rd>') || filtered.includes('</t>')) throw new Error(filtered);
  });
  await check('registers at the resource directory, and is found there', async (client) => {
    const endpoint = client.context.unique;
    same(await client.ask('post', `rd?ep=${endpoint}&lt=300`, '-t', '40', '-e', '</temperature>;rt="t1"'), '');
    const found = await client.ask('get', `rd-lookup/ep?ep=${endpoint}`);
    if (!found.includes(`ep="${endpoint}"`)) throw new Error(found);
    const resources = await client.ask('get', `rd-lookup/res?ep=${endpoint}`);
    if (!resources.includes('/temperature>')) throw new Error(resources);
  });
  await overTcp('put, get, post, delete', (client) => keeps(client));
  await overTcp('observes', (client) => observes(client));
  await overTcp('1 MiB up and down', (client) => carries(client, MiB));
}

/** It asks for answers by Q-Block only with a size. */
const byQBlock = ['-L', '5', '-b', '1024'];

/** Q-Block (RFC 9177), in builds that have it. They ask first whether it is understood. */
async function robust(checks: Checks, target: CoapTarget): Promise<void> {
  const names = ['confirmable', 'not confirmable'].map((how) => `libcoap: 100 KiB by Q-Block, ${how}`);
  const [lossy, queue, seen] = ['not confirmable, datagrams lost', 'a message of a queue', 'an observed value'].map(
    (what) => `libcoap: by Q-Block: ${what}`,
  ) as [string, string, string];
  const all = [...names, lossy, queue, seen];
  if (!all.some((name) => checks.wanted(name))) return;
  const { output } = await run('bash', ['-c', `exec coap-client-notls -B 5 -v 7 -L 5 coap://127.0.0.1:${target.coap.port}/t`], { env });
  if (!output.includes('Testing for Q-Block support')) {
    for (const name of all) checks.skip(name, 'this libcoap is built without Q-Block');
    return;
  }
  const check = (name: string, body: (client: Libcoap) => Promise<void>): Promise<void> =>
    checks.check(
      name,
      async (context) => {
        // Else it would go on with the blocks that are acknowledged, and nothing be tried.
        if (!output.includes('Q-Block support available')) throw new Error(output);
        await body(new Libcoap(target, context));
      },
      limitMs,
    );
  await check(names[0]!, (client) => carries(client, 100 * 1024, ...byQBlock));
  await check(names[1]!, (client) => carries(client, 100 * 1024, ...byQBlock, '-N'));
  // Confirmable, it does not acknowledge a block again (RFC 7252 §4.2): what is lost is no concern of ours there.
  await check(lossy, (client) => carries(client, 20 * 1024, ...byQBlock, '-N', '-l', '3,14'));
  await check(queue, async (client) => {
    const path = `q/${client.context.unique}`;
    const [up, down] = [client.file('queued'), client.file('taken')];
    const payload = randomBytes(20_000);
    for (const how of [[], ['-N']]) {
      await writeFile(up, payload);
      same(await client.ask('post', path, '-f', up, ...byQBlock, ...how), '');
      same(await client.ask('get', path, '-o', down, ...byQBlock, ...how), '');
      if (!payload.equals(await readFile(down))) throw new Error('what came out of the queue is not what went in');
      same((await client.ask('get', path)).slice(0, 4), '4.04');
    }
  });
  await check(seen, async (client) => {
    const topic = `t/${client.context.unique}/wide`;
    await client.ask('put', topic, '-e', 'a'.repeat(15_000));
    const observer = client.observe(topic, ...byQBlock, '-N');
    await observer.waitFor((line) => line.includes('a'.repeat(15_000)));
    await client.ask('put', topic, '-e', 'b'.repeat(15_000));
    await observer.waitFor((line) => line.includes('b'.repeat(15_000)));
  });
}

async function secured(checks: Checks, target: CoapTarget, build: 'openssl' | 'gnutls'): Promise<void> {
  const { caFile, client, psk } = target;
  const dtls = `coaps://localhost:${target.coaps.port}`;
  const tls = `coaps+tcp://localhost:${target.coaps.port}`;
  const asPsk = `-u ${quote(psk.identity)} -k ${inBash(psk.keyHex)}`;
  const asCertificate = `-C ${quote(caFile)} -c ${quote(client.certFile)} -j ${quote(client.keyFile)}`;
  const check = (name: string, base: string, who: string, body: (client: Libcoap) => Promise<void>): Promise<void> =>
    checks.check(`libcoap with ${build}: ${name}`, (context) => body(new Libcoap(target, context, build, base, who)), limitMs);
  for (const [name, who] of [
    ['a pre-shared key', asPsk],
    ['certificates', asCertificate],
  ] as const) {
    await check(`DTLS by ${name}`, dtls, who, (libcoap) => keeps(libcoap));
    await check(`observes over DTLS by ${name}`, dtls, who, (libcoap) => observes(libcoap));
    await check(`1 MiB over DTLS by ${name}`, dtls, who, (libcoap) => carries(libcoap, MiB));
    // Without Q-Block it takes the other blocks.
    await check(`100 KiB over DTLS by ${name}, by Q-Block where it has that`, dtls, who, (libcoap) =>
      carries(libcoap, 100 * 1024, ...byQBlock, '-N'),
    );
    await check(`each datagram of a handshake lost in turn, by ${name}`, dtls, who, async (libcoap) => {
      const topic = `t/${libcoap.context.unique}/lost`;
      await libcoap.ask('put', topic, '-e', 'there');
      const lost = ['1', '2', '3', '4', '1,3', '2,4'];
      const answers = await Promise.all(lost.map((which) => libcoap.ask('get', topic, '-l', which)));
      answers.forEach((text) => same(text, 'there'));
    });
  }
  await check('a key that is not the right one', dtls, `-u ${quote(psk.identity)} -k wrong`, async (libcoap) => {
    const output = await libcoap.ask('get', `t/${libcoap.context.unique}`, '-B', '3');
    if (/^[245]\.\d\d/m.test(output)) throw new Error(`was answered: ${output}`);
  });
  await check('TLS by certificates', tls, asCertificate, (libcoap) => keeps(libcoap));
  // Its build with GnuTLS cannot send more at once than a record of TLS holds.
  const bytes = build === 'gnutls' ? 10_000 : MiB;
  await check(`${bytes} bytes over TLS by certificates`, tls, asCertificate, (libcoap) => carries(libcoap, bytes));
  await check('nobody without a key or certificate', dtls, `-C ${quote(caFile)} -u nobody -k nothing`, async (libcoap) => {
    const output = await libcoap.ask('get', `t/${libcoap.context.unique}`, '-B', '3');
    if (/^[25]\.\d\d/m.test(output)) throw new Error(`was answered: ${output}`);
  });
  // OpenSSL knows raw public keys since 3.2; the build with it here does not.
  if (build === 'openssl') return;
  const asRawKey = (file: string): string => `-C ${quote(caFile)} -M ${quote(file)}`;
  await check('DTLS by a raw public key', dtls, asRawKey(target.rawKeyFile), (libcoap) => keeps(libcoap));
  await check('a raw public key that nobody knows', dtls, asRawKey(target.strangeKeyFile), async (libcoap) => {
    const output = await libcoap.ask('get', `t/${libcoap.context.unique}`, '-B', '3');
    if (/^[25]\.\d\d/m.test(output)) throw new Error(`was answered: ${output}`);
  });
}

export async function libcoapChecks(checks: Checks, target: CoapTarget): Promise<void> {
  await inClear(checks, target);
  await robust(checks, target);
  for (const build of ['openssl', 'gnutls'] as const) await secured(checks, target, build);
}
