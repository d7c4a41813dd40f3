import { Type } from 'typebox';
import { methods } from '../../security/security.ts';
import { choice, count, flag, list, optional, section, text } from '../fields.ts';

export const clientCertificatePolicies = ['none', 'request', 'require'] as const;

const listener = section(
  {
    kind: choice(
      ['tcp', 'tls', 'amqp', 'amqps', 'ws', 'wss', 'http', 'https', 'est', 'pki'],
      {},
      'MQTT over TCP (tcp) or TLS (tls); AMQP 1.0 over TCP (amqp) or TLS (amqps); both over WebSocket (ws) or secure WebSocket (wss), as the client asks; the management interface (http, https); enrolment of devices over HTTPS (est); revocation lists, OCSP and certificates of the own authorities over HTTP, for everybody (pki).',
    ),
    enabled: flag({ default: true }, 'false: this listener is not opened.'),
    host: text({ default: '127.0.0.1', maxLength: 255 }, 'Address to listen on. "::" is every interface, IPv4 and IPv6.'),
    port: count({ min: 0, max: 65_535 }, 'Port to listen on. 0: the system chooses one, shown at start.'),
    allowPlaintext: flag(
      { default: false },
      'Allows a listener without TLS on an address other than loopback: passwords and messages can then be read on the way.',
    ),
    paths: optional(
      list(
        text({ pattern: '^/', shape: 'a path that begins with "/"', maxLength: 255 }, 'A path.'),
        { min: 1, max: 100, example: ['/mqtt', '/'] },
        'ws and wss: paths of the URL at which it answers. /mqtt, /amqp and / when absent.',
      ),
    ),
    origins: optional(
      list(
        text({ pattern: '^https?://[^/]+$', shape: 'an origin such as https://example.com', maxLength: 255 }, 'An origin.'),
        { max: 100, example: ['https://console.example.com'] },
        'ws and wss: origins of the web pages that may connect, in lower case; https://example.com:* is any port. When absent: any, but only pages of this machine where anonymous peers may connect. Empty: no web page.',
      ),
    ),
    authentication: optional(
      list(
        choice([...methods], {}, 'A way to prove who one is.'),
        { min: 1, max: methods.length, example: ['certificate'] },
        'What peers may prove themselves by here, in this order. security.authentication when absent.',
      ),
    ),
    psk: flag(
      { default: false },
      'tls, amqps and wss: true: pre-shared keys are accepted in the TLS handshake, besides certificates; with minVersion 1.2 also by devices that know TLS 1.2 only.',
    ),
    clientCertificate: optional(
      choice([...clientCertificatePolicies], {}, 'tls, amqps, wss, https and est: overrides tls.clientCertificate for this listener.'),
    ),
  },
  'One listener.',
);

export const listenersSection = Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }), listener, {
  shape: 'lower-case letters, digits and hyphens, beginning with a letter',
  description:
    'Where peers connect. These exist by default; name one to change some of its settings, set enabled: false to close it, or add others under new names.',
  default: {
    mqtt: { kind: 'tcp', host: '127.0.0.1', port: 1883 },
    mqtts: { kind: 'tls', host: '::', port: 8883 },
    amqp: { kind: 'amqp', host: '127.0.0.1', port: 5672 },
    amqps: { kind: 'amqps', host: '::', port: 5671 },
    ws: { kind: 'ws', host: '127.0.0.1', port: 8083 },
    wss: { kind: 'wss', host: '::', port: 8084 },
    admin: { kind: 'http', host: '127.0.0.1', port: 8080 },
    est: { kind: 'est', host: '::', port: 8085 },
    pki: { kind: 'pki', host: '127.0.0.1', port: 8086 },
  },
});
