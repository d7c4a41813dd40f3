// Every kind of listener: those of the protocols, and those that the node itself brings.

import { securedBy, type WireKind } from '../protocols/protocol-kind.ts';
import { type ProtocolListenerKind, protocolKinds } from './protocol-kinds.ts';

export type ListenerKind = ProtocolListenerKind | keyof typeof ofTheNode;

export type ListenerKindFacts = {
  readonly wire: WireKind;
  /** Who is behind it: the name of a protocol, or who is said in `ofTheNode`. */
  readonly owner: string;
  /** For people. */
  readonly description: string;
};

/** `MQTT, AMQP and STOMP` */
function inWords(words: readonly string[], link = 'and'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${link} ${words.at(-1)}`;
}

const overWebSocket = inWords(protocolKinds.filter(({ webSocket }) => webSocket !== undefined).map(({ title }) => title));

const ofTheNode = {
  ws: { wire: 'ws', owner: 'websocket', description: `${overWebSocket} over WebSocket, as the client asks` },
  wss: { wire: 'wss', owner: 'websocket', description: `${overWebSocket} over secure WebSocket` },
  http: { wire: 'http', owner: 'management', description: 'the management interface' },
  https: { wire: 'https', owner: 'management', description: 'the management interface over HTTPS' },
  est: { wire: 'https', owner: 'enrolment', description: 'enrolment of devices over HTTPS' },
  pki: {
    wire: 'http',
    owner: 'pki',
    description: 'revocation lists, OCSP and certificates of the own authorities over HTTP, for everybody',
  },
} as const satisfies Record<string, ListenerKindFacts>;

export const listenerKinds = {
  ...Object.fromEntries(
    protocolKinds.flatMap(({ name, listenerKinds: kinds }) =>
      Object.entries(kinds).map(([kind, facts]) => [kind, { ...facts, owner: name }]),
    ),
  ),
  ...ofTheNode,
} as Readonly<Record<ListenerKind, ListenerKindFacts>>;

export const listenerKindNames = Object.keys(listenerKinds) as ListenerKind[];

/** What it brings can be read on the way, and so it belongs on loopback. What `pki` serves is public and signed. */
export function isPlaintext(kind: ListenerKind): boolean {
  const { wire, owner } = listenerKinds[kind];
  return Object.hasOwn(securedBy, wire) && owner !== 'pki';
}

export function isSecure(kind: ListenerKind): boolean {
  return !Object.hasOwn(securedBy, listenerKinds[kind].wire);
}

/** The kind by which the same is offered securely; undefined: there is none. */
export function secureCounterpart(kind: ListenerKind): ListenerKind | undefined {
  const { wire, owner } = listenerKinds[kind];
  const wanted = (securedBy as Partial<Record<WireKind, WireKind>>)[wire];
  return listenerKindNames.find((each) => listenerKinds[each].wire === wanted && listenerKinds[each].owner === owner);
}

/** Whether pre-shared keys can be taken in its handshake. */
export function takesPsk(kind: ListenerKind): boolean {
  return ['tls', 'wss', 'dtls'].includes(listenerKinds[kind].wire);
}

/** Its peers send datagrams, not streams. */
export function isDatagram(kind: ListenerKind): boolean {
  return ['udp', 'dtls'].includes(listenerKinds[kind].wire);
}

export function isWebSocket(kind: ListenerKind): boolean {
  return listenerKinds[kind].owner === 'websocket';
}

/** `tls, amqps and wss`: the kinds for which `holds`. */
export function kindsInWords(holds: (kind: ListenerKind) => boolean): string {
  return inWords(listenerKindNames.filter(holds));
}

/** Paths at which WebSocket listeners answer unless told otherwise. */
export const webSocketPaths: readonly string[] = [...protocolKinds.flatMap(({ webSocket }) => webSocket?.paths ?? []), '/'];

export const webSocketPathsInWords = inWords(webSocketPaths);

type DefaultListener = { readonly kind: string; readonly host: string; readonly port: number; readonly devOnly?: true };

/** Those that are there without a configuration. */
export const defaultListeners: Readonly<Record<string, DefaultListener>> = {
  ...Object.assign({}, ...protocolKinds.map(({ listeners }) => listeners)),
  ws: { kind: 'ws', host: '127.0.0.1', port: 8083 },
  wss: { kind: 'wss', host: '::', port: 8084 },
  admin: { kind: 'http', host: '127.0.0.1', port: 8080 },
  est: { kind: 'est', host: '::', port: 8085 },
  pki: { kind: 'pki', host: '127.0.0.1', port: 8086 },
};
