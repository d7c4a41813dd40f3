// A server with the resources of the plugtests on our own CoAP: the same transports, blocks and sockets as in the node, and nothing else of it.
// Run as a program it says on which ports it serves, and ends with its input:
//
//   node test/interop/coap/plugtest/server.ts     {"udp":5683,"tcp":5683,"dtls":5684}

import { pathToFileURL } from 'node:url';

import { SystemClock } from '../../../../src/base/clock.ts';
import { silentLog } from '../../../../src/base/log.ts';
import { secureRandom } from '../../../../src/base/secure-random.ts';
import { defaultConfig } from '../../../../src/config.ts';
import { defaultsOf } from '../../../../src/config/check.ts';
import { DtlsListener } from '../../../../src/net/dtls-listener.ts';
import { defaultDtlsLimits } from '../../../../src/net/dtls/limits.ts';
import { Listener } from '../../../../src/net/listener.ts';
import { NetLoop } from '../../../../src/net/loop.ts';
import { UdpListener } from '../../../../src/net/udp-listener.ts';
import { LoopTimers } from '../../../../src/node/loop-timers.ts';
import { CoapServer } from '../../../../src/protocols/coap/index.ts';
import { coapOptions, coapSettings } from '../../../../src/protocols/coap/settings.ts';
import { OscoreLayer } from '../../../../src/protocols/coap/oscore/oscore-layer.ts';
import { noTrace } from '../../../../src/protocols/trace.ts';
import { aeadAlgorithms, hkdfAlgorithms } from '../../../../src/security/oscore/algorithms.ts';
import { SecurityContext } from '../../../../src/security/oscore/context.ts';
import { defaultContextsSettings } from '../../../../src/security/oscore/contexts.ts';
import { MemorySequenceStore } from '../../../../src/security/oscore/sequence-store.ts';
import { describeCertificate } from '../../../../src/security/peer-certificate.ts';
import { generousDatagramLimits } from '../../../harness/net/datagrams.ts';
import { generousLimits } from '../../../harness/net/stand.ts';
import { PlugtestResources } from './resources.ts';

import type { Clock } from '../../../../src/base/clock.ts';
import type { SettingsOf } from '../../../../src/config/fields.ts';
import type { SchemaNode } from '../../../../src/config/schema-node.ts';
import type { DtlsListenerSettings } from '../../../../src/net/dtls-settings.ts';
import type { OscoreContext, OscoreContexts } from '../../../../src/security/oscore/oscore.ts';

/** Those of the test descriptions, and what Californium's own server has. */
export const psk = { identity: 'password', key: 'sesame' } as const;
const oscore = { masterSecret: '0102030405060708090a0b0c0d0e0f10', masterSalt: '9e7ca92223786340', idContext: '37cbf3210017a2d3' } as const;

export type PlugtestServer = {
  readonly ports: { readonly udp: number; readonly tcp: number; readonly dtls: number };
  stop(): Promise<void>;
};

/** How often observed resources change. Their tests wait for several changes each. */
const changesEveryMs = 1000;

const dtlsSettings: DtlsListenerSettings = {
  certificates: [],
  clientCertificate: 'request',
  clientAuthorities: [],
  rawPublicKeys: false,
  connectionIds: true,
  pskHint: '',
  psk: { keyOf: (identity) => (identity === psk.identity ? Buffer.from(psk.key) : undefined) },
  verify: () => ({ ok: false, fault: 'unknown-authority', certificate: undefined }),
  describeCertificate,
  limits: defaultDtlsLimits,
};

/** The checker is the only one who comes. */
class OneContext implements OscoreContexts {
  readonly #context: SecurityContext;

  constructor(clock: Clock) {
    const input = {
      algorithm: aeadAlgorithms[0]!,
      hkdf: hkdfAlgorithms[0]!,
      masterSecret: Buffer.from(oscore.masterSecret, 'hex'),
      masterSalt: Buffer.from(oscore.masterSalt, 'hex'),
      senderId: Uint8Array.of(2),
      recipientId: Uint8Array.of(1),
      idContext: Buffer.from(oscore.idContext, 'hex'),
    };
    const name = { tenant: 'main', principal: 'checker', contextId: 'plugtest' };
    const services = { store: new MemorySequenceStore(), clock, random: secureRandom };
    this.#context = new SecurityContext(name, input, 32, defaultContextsSettings, services);
  }

  find(_kid: Uint8Array, _kidContext: Uint8Array | undefined, answer: (found: readonly OscoreContext[]) => void): void {
    answer([this.#context]);
  }

  named(_name: unknown, answer: (found: undefined) => void): void {
    answer(undefined);
  }

  refused(): void {}
}

export async function startPlugtestServer(): Promise<PlugtestServer> {
  const clock = new SystemClock();
  const config = defaultConfig();
  const { outputHighWaterBytes: highWaterBytes, outputLowWaterBytes: lowWaterBytes } = config.net;
  const loop = new NetLoop({ clock, log: silentLog, highWaterBytes, lowWaterBytes });
  const resources = new PlugtestResources(changesEveryMs);
  const settings = defaultsOf(coapSettings as unknown as SchemaNode) as SettingsOf<typeof coapSettings>;
  const server = new CoapServer({
    clock,
    random: secureRandom,
    timers: new LoopTimers(loop),
    trace: noTrace,
    // Californium knows neither Echo (RFC 9175) nor CSM (RFC 8323 §5.3).
    options: { ...coapOptions(settings, config), maxAmplification: 0, requireCsm: false },
    resources,
    oscore: (next) => new OscoreLayer(new OneContext(clock), next),
  });
  const host = '127.0.0.1';
  const udp = new UdpListener({ name: 'udp', protocol: server.datagram, host, port: 0, limits: generousDatagramLimits }, loop);
  const tcp = new Listener({ name: 'tcp', protocol: server.stream, kind: 'tcp', host, port: 0, limits: generousLimits }, loop);
  const dtls = new DtlsListener(
    { name: 'dtls', protocol: server.datagram, host, port: 0, limits: generousDatagramLimits, dtls: dtlsSettings },
    loop,
  );
  const listeners = [udp, tcp, dtls];
  for (const listener of listeners) await listener.start();
  return {
    ports: { udp: udp.address!.port, tcp: tcp.address!.port, dtls: dtls.address!.port },
    async stop() {
      resources.stop();
      await Promise.all(listeners.map((listener) => listener.drain(0)));
      loop.stop();
    },
  };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const server = await startPlugtestServer();
  console.log(JSON.stringify(server.ports));
  process.stdin.resume();
  process.stdin.on('end', () => void server.stop());
}
