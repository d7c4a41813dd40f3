import { Type } from 'typebox';
import { methods } from '../../security/security.ts';
import {
  defaultListeners,
  isSecure,
  kindsInWords,
  listenerKindNames,
  listenerKinds,
  takesPsk,
  webSocketPathsInWords,
} from '../listener-kinds.ts';
import { choice, count, flag, list, optional, section, text } from '../fields.ts';

export const clientCertificatePolicies = ['none', 'request', 'require'] as const;

const listener = section(
  {
    kind: choice(listenerKindNames, {}, `${listenerKindNames.map((name) => `${name}: ${listenerKinds[name].description}`).join('; ')}.`),
    enabled: flag({ default: true }, 'false: this listener is not opened.'),
    devOnly: flag({ default: false }, 'true: it is opened only when the node is started with --dev.'),
    host: text({ default: '127.0.0.1', maxLength: 255 }, 'Address to listen on. "::" is every interface, IPv4 and IPv6.'),
    port: count({ min: 0, max: 65_535 }, 'Port to listen on. 0: the system chooses one, shown at start.'),
    allowPlaintext: flag(
      { default: false },
      'Allows a listener without TLS on an address other than loopback: passwords and messages can then be read on the way. Not needed where authentication is oscore alone.',
    ),
    paths: optional(
      list(
        text({ pattern: '^/', shape: 'a path that begins with "/"', maxLength: 255 }, 'A path.'),
        { min: 1, max: 100, example: ['/mqtt', '/'] },
        `ws and wss: paths of the URL at which it answers. ${webSocketPathsInWords} when absent.`,
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
      `${kindsInWords(takesPsk)}: true: pre-shared keys are accepted in the TLS handshake, besides certificates; with minVersion 1.2 also by devices that know TLS 1.2 only.`,
    ),
    multicastGroups: optional(
      list(
        text({ pattern: '^[0-9a-fA-F.:]+$', shape: 'an address', maxLength: 64 }, 'Address of a group.'),
        { min: 1, max: 16, example: ['224.0.1.187'] },
        `${kindsInWords((kind) => listenerKinds[kind].wire === 'udp')}: groups whose datagrams are taken, too (RFC 7252 §12.8: 224.0.1.187, ff02::fd, ff05::fd), so that devices find this node. host must then be the address of one interface. None when absent.`,
      ),
    ),
    clientCertificate: optional(
      choice([...clientCertificatePolicies], {}, `${kindsInWords(isSecure)}: overrides tls.clientCertificate for this listener.`),
    ),
  },
  'One listener.',
);

export const listenersSection = Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }), listener, {
  shape: 'lower-case letters, digits and hyphens, beginning with a letter',
  description:
    'Where peers connect. These exist by default; name one to change some of its settings, set enabled: false to close it, or add others under new names.',
  default: defaultListeners,
});
