// What DTLS costs the server, in one process and without sockets: CPU of a handshake of each kind, records per second, memory of an idle
// session. The client half runs in the same process, but only the server's calls are timed.
//
//   node --expose-gc bench/dtls.ts [--sessions N] [--handshakes N]

import { createSecretKey } from 'node:crypto';
import { parseArgs } from 'node:util';
import { secureRandom } from '../src/base/secure-random.ts';
import type { DtlsEffect, DtlsEndpoint, PeerAddress } from '../src/net/dtls/endpoint.ts';
import { createDtlsEndpoint } from '../src/net/dtls/server.ts';
import { devicePsk, deviceProof, standSettings } from '../src/net/dtls/testing/dtls-stand.ts';
import { TestClient, type TestClientOptions } from '../src/net/dtls/testing/test-client.ts';

const { values } = parseArgs({
  options: { sessions: { type: 'string', default: '5000' }, handshakes: { type: 'string', default: '2000' } },
});
const sessions = Number(values.sessions);
const handshakes = Number(values.handshakes);
const pskKey = createSecretKey(devicePsk.key);

class Bench {
  readonly endpoint: DtlsEndpoint = createDtlsEndpoint({ ...standSettings, limits: { sessionsPerPeer: 1_000_000 } }, secureRandom);
  serverMs = 0;
  lastSession = 0;
  #client: TestClient | undefined;

  /** With `isManual` only up to the server's flight. */
  connect(options: Partial<TestClientOptions>, from: PeerAddress): TestClient {
    const client = new TestClient({ random: secureRandom, psk: { ...devicePsk, identity: from.address }, ...options });
    this.#client = client;
    client.start(0);
    for (let out = client.takeOut(); out.length > 0; out = client.takeOut()) {
      for (const datagram of out) this.#take(this.#timed(() => this.endpoint.receive(datagram, from, 0)));
    }
    if (!client.isOpen && options.isManual !== true) throw new Error(`the handshake ended in ${client.state}`);
    return client;
  }

  #timed(call: () => readonly DtlsEffect[]): readonly DtlsEffect[] {
    const start = performance.now();
    const effects = call();
    this.serverMs += performance.now() - start;
    return effects;
  }

  #take(effects: readonly DtlsEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'datagram') this.#client!.receive(effect.bytes as Buffer, 0);
      else if (effect.kind === 'opened') this.lastSession = effect.session;
      else if (effect.kind === 'pskWanted') {
        this.#take(this.#timed(() => this.endpoint.pskAnswer(effect.handshake, { key: pskKey }, 0)));
      } else if (effect.kind === 'certificateWanted') {
        this.#take(this.#timed(() => this.endpoint.admissionAnswer(effect.handshake, { ok: true }, 0)));
      }
    }
  }
}

const addressOf = (i: number): PeerAddress => ({ address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 5684 });
const mutual = { proof: deviceProof, suites: ['ECDHE-ECDSA-AES128-CCM8'] } as const;
const kinds: readonly [string, Partial<TestClientOptions>][] = [
  ['PSK, CCM_8', { suites: ['PSK-AES128-CCM8'] }],
  ['ECDHE_PSK, CCM', { suites: ['ECDHE-PSK-AES128-CCM-SHA256'] }],
  ['ECDHE_ECDSA, CCM_8, mutual certificates', mutual],
];

function handshakeCost(name: string, options: (i: number) => Partial<TestClientOptions>): void {
  const bench = new Bench();
  for (let i = 0; i < 200; i++) bench.connect(options(i), addressOf(i));
  bench.serverMs = 0;
  for (let i = 0; i < handshakes; i++) bench.connect(options(i), addressOf(i));
  const us = (1000 * bench.serverMs) / handshakes;
  console.log(`handshake   ${name.padEnd(42)} ${us.toFixed(0).padStart(6)} µs   ${Math.round(1e6 / us)}/s`);
}

function resumptionCost(): void {
  const bench = new Bench();
  const clients = Array.from({ length: handshakes }, (_, i) => bench.connect(mutual, addressOf(i)));
  bench.serverMs = 0;
  for (const [i, { session }] of clients.entries()) bench.connect({ ...mutual, resume: session! }, addressOf(i));
  const us = (1000 * bench.serverMs) / handshakes;
  console.log(`handshake   ${'mutual certificates, resumed'.padEnd(42)} ${us.toFixed(0).padStart(6)} µs   ${Math.round(1e6 / us)}/s`);
}

function recordCost(name: string, options: Partial<TestClientOptions>): void {
  const bench = new Bench();
  const from = addressOf(1);
  const client = bench.connect(options, from);
  const data = Buffer.alloc(64, 1);
  const rounds = 40_000;
  const records = Array.from({ length: rounds }, () => client.seal(data));
  let opened = 0;
  const start = performance.now();
  for (const record of records) if (bench.endpoint.receive(record, from, 0)[0]?.kind === 'data') opened++;
  const between = performance.now();
  for (let i = 0; i < rounds; i++) bench.endpoint.send(bench.lastSession, data, 0);
  const end = performance.now();
  if (opened !== rounds) throw new Error(`${opened} of ${rounds} records were opened`);
  const each = (ms: number): string => `${((1000 * ms) / rounds).toFixed(1)} µs`;
  const perSecond = Math.round((1000 * rounds) / (end - start));
  console.log(`64 bytes    ${name.padEnd(20)} in ${each(between - start)}, out ${each(end - between)}: ${perSecond} in and out per second`);
}

function memoryOf(name: string, options: Partial<TestClientOptions>): void {
  const collect = globalThis.gc;
  if (collect === undefined) {
    console.log('memory      not measured without --expose-gc');
    return;
  }
  const bench = new Bench();
  bench.connect(options, addressOf(0));
  const measure = () => {
    for (let i = 0; i < 4; i++) collect();
    const { heapUsed, external, rss } = process.memoryUsage();
    return { managed: heapUsed + external, rss };
  };
  const before = measure();
  for (let i = 1; i <= sessions; i++) bench.connect(options, addressOf(i));
  const after = measure();
  const per = (bytes: number): string => `${(bytes / sessions / 1024).toFixed(2)} KiB`;
  console.log(
    `idle        ${name.padEnd(42)} ${per(after.managed - before.managed)} heap and external, ${per(after.rss - before.rss)} resident`,
  );
  const { counters } = bench.endpoint;
  if (counters.sessions + counters.handshakesPending !== sessions + 1) throw new Error('sessions were lost');
}

// What the first thousands of handshakes leave behind in the process is not of their sessions.
const warm = new Bench();
for (let i = 0; i < sessions; i++) warm.connect(mutual, addressOf(i & 255));
for (const [name, options] of kinds) memoryOf(name, options);
memoryOf('PSK, CCM_8, Connection ID', { suites: ['PSK-AES128-CCM8'], cid: Buffer.from('beef', 'hex') });
memoryOf('half-open, ECDHE_ECDSA', { ...mutual, isManual: true });
for (const [name, options] of kinds) handshakeCost(name, () => options);
resumptionCost();
recordCost('CCM_8', { suites: ['PSK-AES128-CCM8'] });
recordCost('CCM_8, with CID', { suites: ['PSK-AES128-CCM8'], cid: Buffer.from('beef', 'hex') });
recordCost('GCM', { suites: ['PSK-AES128-GCM-SHA256'] });
