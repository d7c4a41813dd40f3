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
import { describeCertificate } from '../../../../src/security/peer-certificate.ts';
import { generousDatagramLimits } from '../../../harness/net/datagrams.ts';
import { generousLimits } from '../../../harness/net/stand.ts';
import { checkerContext } from './checker-context.ts';
import { PlugtestResources } from './resources.ts';

import type { SettingsOf } from '../../../../src/config/fields.ts';
import type { SchemaNode } from '../../../../src/config/schema-node.ts';
import type { DtlsListenerSettings } from '../../../../src/net/dtls-settings.ts';

/** As the test descriptions have them. */
export const psk = { identity: 'password', key: 'sesame' } as const;

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
  ccm8: true,
  requireExtendedMasterSecret: true,
  pskHint: '',
  psk: { keyOf: (identity) => (identity === psk.identity ? Buffer.from(psk.key) : undefined) },
  verify: () => ({ ok: false, fault: 'unknown-authority', certificate: undefined }),
  describeCertificate,
  limits: defaultDtlsLimits,
};

export async function startPlugtestServer(): Promise<PlugtestServer> {
  const clock = new SystemClock();
  const config = defaultConfig();
  const { outputHighWaterBytes: highWaterBytes, outputLowWaterBytes: lowWaterBytes } = config.net;
  const loop = new NetLoop({ clock, log: silentLog, highWaterBytes, lowWaterBytes });
  const checker = await checkerContext(clock);
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
    oscore: (next) => new OscoreLayer(checker.contexts, next),
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
      await checker.close();
    },
  };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const server = await startPlugtestServer();
  console.log(JSON.stringify(server.ports));
  process.stdin.resume();
  process.stdin.on('end', () => void server.stop());
}
