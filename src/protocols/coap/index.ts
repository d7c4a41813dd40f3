// CoAP as a protocol of the node.

import { protocolKind } from '../protocol-kind.ts';
import { blockOrder } from './block/block-settings.ts';
import { Code, noBytes } from './codec/index.ts';
import type { RequestHandler } from './exchange.ts';
import { CoapServer } from './server.ts';
import { coapOptions, coapSettings } from './settings.ts';

export type { CoapOptions } from './settings.ts';
export { CoapServer, type CoapServerParts } from './server.ts';

/** Until there are resources. */
const nothingHere: RequestHandler = { handle: (_request, reply) => reply.send({ code: Code.notFound, options: [], payload: noBytes }) };

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
    coap: { kind: 'coap', host: '127.0.0.1', port: 5683 },
    'coap-tcp': { kind: 'coap-tcp', host: '127.0.0.1', port: 5683 },
    coaps: { kind: 'coaps', host: '::', port: 5684 },
    'coaps-tcp': { kind: 'coaps-tcp', host: '::', port: 5684 },
  },
  // RFC 8323 §8.3: wherever a server of WebSocket answers, that is its path.
  webSocket: { paths: ['/.well-known/coap'], maxMessageBytes: ({ maxStreamMessageBytes }) => maxStreamMessageBytes },
  ordered: [
    ['net.outputHighWaterBytes', 'coap.maxOutputBytes', 'a peer must be told to wait before it is not read any more'],
    ['coap.maxRememberedBytesPerPeer', 'coap.maxRememberedBytes', 'no peer could use more'],
    ...blockOrder('coap'),
  ],
  powersOfTwo: ['blockBytes'],
  options: coapOptions,
  create({ clock, random, timers, trace }, options) {
    const server = new CoapServer({ clock, random, timers, trace, options, resources: nothingHere });
    return { stream: server.stream, datagram: server.datagram, metrics: () => server.metrics() };
  },
});
