// What is measured of CoAP and DTLS, and the targets.

import { measureDtlsHandshakes, measureIdleSessions, measureObservers, measureRequests } from './coap-load.ts';
import { atLeast, atMost } from './measurement.ts';
import type { Work } from './works.ts';

const all = ['libcoap', 'coap of npm', 'node:dgram'];
const onlyLibcoap = ['libcoap'];

export const coapWorks: readonly Work[] = [
  {
    name: 'coap-non',
    title: 'CoAP: 64 devices, 4 requests each under way, NON POST',
    peers: all,
    demands: [atLeast('perSecond', 80_000)],
    measure: (broker, scale, cores) => measureRequests(broker, scale, cores, { confirmable: false, way: 'clear' }),
  },
  {
    name: 'coap-con',
    title: 'CoAP: 64 devices, 4 requests each under way, CON POST',
    peers: all,
    demands: [atLeast('perSecond', 50_000), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureRequests(broker, scale, cores, { confirmable: true, way: 'clear' }),
  },
  {
    name: 'coap-durable',
    title: 'CoAP: the same into a durable queue; 2.04 after fsync',
    peers: [],
    demands: [atLeast('perSecond', 30_000), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureRequests(broker, scale, cores, { confirmable: true, way: 'clear', queue: 'q/bench' }),
  },
  {
    name: 'coap-observers',
    title: 'CoAP: 10,000 observers of one topic, NON notifications',
    peers: onlyLibcoap,
    demands: [atLeast('perSecond', 50_000)],
    measure: (broker, scale, cores) => measureObservers(broker, scale, cores, false),
  },
  {
    name: 'coap-observers-con',
    title: 'CoAP: 10,000 observers of one topic, CON notifications',
    peers: [],
    demands: [atLeast('perSecond', 50_000)],
    measure: (broker, scale, cores) => measureObservers(broker, scale, cores, true),
  },
  {
    name: 'dtls-non',
    title: 'CoAP over DTLS, CCM_8: NON POST',
    peers: onlyLibcoap,
    demands: [atLeast('perSecond', 30_000)],
    measure: (broker, scale, cores) => measureRequests(broker, scale, cores, { confirmable: false, way: 'psk' }),
  },
  {
    name: 'dtls-psk',
    title: 'DTLS handshakes, PSK, CCM_8',
    peers: onlyLibcoap,
    demands: [],
    measure: (broker, scale, cores) => measureDtlsHandshakes(broker, scale, cores, 'psk'),
  },
  {
    name: 'dtls-certificates',
    title: 'DTLS handshakes, mutual certificates, ECDHE_ECDSA, CCM_8',
    peers: onlyLibcoap,
    demands: [],
    measure: (broker, scale, cores) => measureDtlsHandshakes(broker, scale, cores, 'certificate'),
  },
  {
    name: 'dtls-idle',
    title: '10,000 idle DTLS sessions, PSK, CCM_8',
    peers: onlyLibcoap,
    demands: [atMost('bytesPerConnection', 8192)],
    measure: (broker, scale, cores) => measureIdleSessions(broker, scale, cores, 'psk'),
  },
];
