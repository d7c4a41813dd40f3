// CoAP as a protocol of the node.

import { protocolKind } from '../protocol-kind.ts';
import { blockOrder } from './block/block-settings.ts';
import { EstResource, estLinks, estPath } from './est/est-resource.ts';
import { OscoreLayer } from './oscore/oscore-layer.ts';
import { createResources } from './resources/index.ts';
import { CoapServer } from './server.ts';
import { coapOptions, coapSettings } from './settings.ts';

export type { CoapOptions } from './settings.ts';
export { CoapServer, type CoapServerParts } from './server.ts';

export const coapKind = protocolKind({
  name: 'coap',
  title: 'CoAP',
  settings: coapSettings,
  listenerKinds: {
    coap: { wire: 'udp', description: 'CoAP over UDP' },
    coaps: { wire: 'dtls', description: 'CoAP over DTLS' },
    'coap-tcp': { wire: 'tcp', description: 'CoAP over TCP' },
    'coaps-tcp': { wire: 'tls', description: 'CoAP over TLS' },
  },
  // One number each for datagrams and for streams: two sockets (RFC 7252 §6.1, RFC 8323 §8.1).
  listeners: {
    coap: { kind: 'coap', host: '127.0.0.1', port: 5683, devOnly: true },
    'coap-tcp': { kind: 'coap-tcp', host: '127.0.0.1', port: 5683, devOnly: true },
    coaps: { kind: 'coaps', host: '::', port: 5684 },
    'coaps-tcp': { kind: 'coaps-tcp', host: '::', port: 5684 },
  },
  // RFC 8323 §8.3: wherever a server of WebSocket answers, that is its path.
  webSocket: { paths: ['/.well-known/coap'], maxMessageBytes: ({ maxStreamMessageBytes }) => maxStreamMessageBytes },
  ordered: [
    ['net.outputHighWaterBytes', 'coap.maxOutputBytes', 'a peer must be told to wait before it is not read any more'],
    ['coap.maxRememberedPeerBytes', 'coap.maxRememberedBytes', 'no peer could use more'],
    ['coap.maxWaitingPeerBytes', 'coap.maxWaitingBytes', 'no peer could use more'],
    ...blockOrder('coap'),
  ],
  powersOfTwo: ['blockBytes', 'topicCacheEntries'],
  options: coapOptions,
  create({ broker, security, clock, random, timers, trace, log, turn, oscore, enrolment }, options) {
    const mounts = [{ path: estPath, handler: new EstResource(enrolment, log), links: estLinks }];
    const resources = createResources({ broker, security, clock, random, log, timers, later: (task) => turn.atEnd(task), options, mounts });
    const server = new CoapServer({
      clock,
      random,
      timers,
      trace,
      options,
      resources,
      oscore: (next) => new OscoreLayer(oscore, next),
      goingDown: () => resources.close(),
    });
    return {
      stream: server.stream,
      datagram: server.datagram,
      *metrics() {
        yield* server.metrics();
        yield* resources.metrics();
      },
    };
  },
});
