// One broker with every kind of listener, as a process of its own; its management API; and accounts that can connect to it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Served } from '../cli/run-cli.ts';
import { Metrics } from '../process/broker-process.ts';
import { Issuer } from './issuer.ts';

import type { EntryLine } from '../../src/security/audit/audit-line.ts';
import { freeListeners } from '../harness/free-listeners.ts';

/** Within which a revocation must hold for who is connected. */
export const cutLimitMs = 2000;

export type Certified = {
  readonly certificate: string;
  readonly chain: string;
  readonly root: string;
  readonly privateKey: string;
  readonly fingerprint: string;
};

/** A device, and all by which it could prove itself. */
export type Account = {
  readonly tenant: string;
  readonly id: string;
  readonly password: string;
  readonly psk: string;
  readonly jwt: string;
  readonly apiToken: string;
  readonly apiTokenId: string;
  readonly certified: Certified | undefined;
};

export type AccountWish = {
  readonly tenant?: string;
  readonly roles?: readonly string[];
  readonly groups?: readonly string[];
  readonly has?: readonly ('password' | 'psk' | 'certificate' | 'api-token')[];
};

const listenerNames = [
  'mqtt',
  'mqtts',
  'psk',
  'amqp',
  'amqps',
  'amqp-token',
  'amqp-psk',
  'coaps',
  'coap-psk',
  'ws',
  'wss',
  'admin',
  'https',
  'est',
  'token',
  'hook',
] as const;
export type ListenerName = (typeof listenerNames)[number];

const moreListeners = {
  psk: { kind: 'tls', port: 0, psk: true, authentication: ['psk'] },
  'amqp-token': { kind: 'amqp', port: 0, authentication: ['jwt'] },
  'amqp-psk': { kind: 'amqps', port: 0, psk: true, authentication: ['psk'] },
  'coap-psk': { kind: 'coaps', port: 0, psk: true, authentication: ['psk'] },
  https: { kind: 'https', port: 0, clientCertificate: 'request' },
  token: { kind: 'tcp', port: 0, authentication: ['jwt'] },
  hook: { kind: 'tcp', port: 0, authentication: ['webhook'] },
};

function configuration(issuer: Issuer, tenants: readonly string[], more: string): string {
  return `
node: {shutdownTimeoutMs: 4s}
listeners: ${JSON.stringify({ ...freeListeners(), ...moreListeners })}
security:
  auditLogins: all
  limits: {failuresPerAddress: 1000000, failuresPerAccount: 1000000}
  jwt:
    pauseMs: 1s
    issuers:
      - name: plant
        issuer: ${issuer.name}
        audience: [${issuer.audience}]
        keys: url
        keysUrl: ${issuer.url}/keys
        clockSkewMs: 30s
        tenants: [${tenants.join(', ')}]
        claims: {tenant: tenant}
  webhook: {url: '${issuer.url}/webhook', timeoutMs: 500ms, failures: 1000}
revocation: {foreign: {privateAddresses: true}}
enrolment: {certificatesPerHour: 1000}
admin: {requestsPerSecond: 20000}
audit: {sealMs: 100ms}
log: {level: info}
${more}`;
}

export class World {
  readonly served: Served;
  readonly folder: string;
  readonly data: string;
  readonly configFile: string;
  readonly issuer: Issuer;
  /** Everything that must stand nowhere but where it belongs. */
  readonly secrets = new Map<string, string>();
  /** What was done, and must be in the audit log: `action target`. */
  readonly done = new Set<string>();
  readonly #tenants: readonly string[];
  readonly #ports = new Map<ListenerName, number>();
  #names = 0;
  #addresses = 0;
  /** What everybody trusts. */
  root = '';
  adminToken = '';

  private constructor(served: Served, folder: string, issuer: Issuer, tenants: readonly string[]) {
    this.served = served;
    this.folder = folder;
    this.data = join(folder, 'data');
    this.configFile = join(folder, 'heliograph.yaml');
    this.issuer = issuer;
    this.#tenants = tenants;
  }

  static async start(tenants: readonly string[] = ['main'], more = ''): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), 'heliograph-trust-'));
    const issuer = await Issuer.start();
    const file = join(folder, 'heliograph.yaml');
    writeFileSync(file, configuration(issuer, tenants, more));
    const served = new Served(['--config', file, '--data', join(folder, 'data')]);
    const world = new World(served, folder, issuer, tenants);
    try {
      for (const name of listenerNames) world.#ports.set(name, await served.port(name));
      world.adminToken = readFileSync(join(world.data, 'admin-token'), 'utf8').trim();
      world.secret('the token of this machine', world.adminToken);
      world.secret('the first password', await served.adminPassword());
      world.root = readFileSync(join(world.data, 'pki', 'ca.crt'), 'utf8');
      for (const id of tenants) if (id !== 'main') await world.post('/tenants', { id });
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  async close(): Promise<void> {
    await this.served.kill();
    await this.issuer.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  port(listener: ListenerName): number {
    return this.#ports.get(listener)!;
  }

  /** Writes the configuration anew and sends SIGHUP. `outcome`: the line of the log that tells what became of it begins so. */
  async reload(more: string, outcome = 'reloaded'): Promise<void> {
    const seen = new Set(this.served.lines);
    writeFileSync(this.configFile, configuration(this.issuer, this.#tenants, more));
    this.served.signal('SIGHUP');
    await this.served.line((line) => !seen.has(line) && line.event.startsWith(outcome));
  }

  name(prefix = 'pump'): string {
    return `${prefix}-${++this.#names}`;
  }

  /** One of this machine that nobody else has: who fails too often is not listened to for a while. */
  address(): string {
    const number = ++this.#addresses;
    return `127.1.${Math.floor(number / 250)}.${(number % 250) + 1}`;
  }

  secret(what: string, text: string): string {
    this.secrets.set(text, what);
    return text;
  }

  // -- the management API

  async ask(method: string, path: string, body?: unknown, tenant?: string): Promise<{ status: number; body: unknown }> {
    const query = tenant === undefined ? '' : `${path.includes('?') ? '&' : '?'}tenant=${encodeURIComponent(tenant)}`;
    const headers = { authorization: `Bearer ${this.adminToken}`, 'content-type': 'application/json' };
    const url = `http://127.0.0.1:${this.port('admin')}/api/v1${path}${query}`;
    const hasBody = body !== undefined;
    const response = await fetch(url, {
      method,
      headers: hasBody ? headers : { authorization: headers.authorization },
      ...(hasBody && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' || !/^[[{]/.test(text) ? text : (JSON.parse(text) as unknown) };
  }

  /** Must succeed. */
  async must(method: string, path: string, body?: unknown, tenant?: string): Promise<unknown> {
    const answer = await this.ask(method, path, body, tenant);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  post(path: string, body: unknown, tenant?: string): Promise<unknown> {
    return this.must('POST', path, body, tenant);
  }

  async metrics(): Promise<Metrics> {
    return new Metrics(await this.metricsText());
  }

  async metricsText(): Promise<string> {
    const headers = { authorization: `Bearer ${this.adminToken}` };
    const response = await fetch(`http://127.0.0.1:${this.port('admin')}/metrics`, { headers });
    assert.equal(response.status, 200);
    return response.text();
  }

  /** Everything in the audit log, or what of it matches. */
  async audited(matches: Readonly<Record<string, string>> = {}): Promise<EntryLine[]> {
    const found: EntryLine[] = [];
    let after: string | undefined;
    do {
      const query = new URLSearchParams({ limit: '1000', ...matches, ...(after !== undefined && { after }) });
      const page = (await this.must('GET', `/audit?${query.toString()}`)) as { entries: EntryLine[]; next?: string };
      found.push(...page.entries);
      after = page.next;
    } while (after !== undefined);
    return found;
  }

  // -- accounts

  /** A new device. */
  async account({ tenant = 'main', roles, groups, has = [] }: AccountWish = {}, id = this.name()): Promise<Account> {
    const password = this.secret('a password', randomBytes(18).toString('base64url'));
    const psk = this.secret('a pre-shared key', randomBytes(32).toString('hex'));
    const owner = { kind: 'device', id };
    const withPassword = has.includes('password') ? { password } : {};
    await this.post('/devices', { id, ...withPassword, ...(roles && { roles }), ...(groups && { groups }) }, tenant);
    if (has.includes('psk')) await this.must('PUT', `/devices/${id}/psk`, { key: psk }, tenant);
    const certified = has.includes('certificate') ? await this.certify(id, tenant) : undefined;
    const token = has.includes('api-token')
      ? ((await this.post('/tokens', { owner }, tenant)) as { id: string; token: string })
      : undefined;
    if (token !== undefined) this.secret('an API token', token.token);
    const jwt = this.secret('a token', this.issuer.token({ sub: id, tenant }));
    return { tenant, id, password, psk, jwt, certified, apiToken: token?.token ?? '', apiTokenId: token?.id ?? '' };
  }

  async certify(id: string, tenant = 'main'): Promise<Certified> {
    const certified = (await this.post('/certificates', { owner: { kind: 'device', id } }, tenant)) as Certified;
    this.secret('a private key', certified.privateKey.split('\n')[1]!);
    return certified;
  }
}
