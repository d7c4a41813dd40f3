// Where a broker is, as a URL says it: mqtt://host:1883, mqtts://host:8883, ws://host:8083/mqtt, wss://host:8084/mqtt.

export type Transport = 'tcp' | 'tls' | 'ws' | 'wss';

export type Endpoint = {
  readonly transport: Transport;
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** ws and wss only: with its query. */
  readonly path: string;
};

/** What a URL may also bring. */
export type EndpointUrl = { readonly endpoint: Endpoint; readonly username: string | undefined; readonly password: string | undefined };

const schemes: Readonly<Record<string, Transport>> = {
  'mqtt:': 'tcp',
  'tcp:': 'tcp',
  'mqtts:': 'tls',
  'tls:': 'tls',
  'ssl:': 'tls',
  'ws:': 'ws',
  'wss:': 'wss',
};

/** The broker's own defaults. */
const defaultPorts: Readonly<Record<Transport, number>> = { tcp: 1883, tls: 8883, ws: 8083, wss: 8084 };

const defaultPath = '/mqtt';
/** What a URL with these schemes means when it names no port. */
const webPorts: Readonly<Partial<Record<Transport, number>>> = { ws: 80, wss: 443 };

/** Undefined when the text is no such URL. */
export function parseEndpoint(text: string): EndpointUrl | undefined {
  const url = URL.parse(text);
  const transport = url === null ? undefined : schemes[url.protocol];
  if (url === null || transport === undefined || url.hostname === '') return undefined;
  const isWeb = transport === 'ws' || transport === 'wss';
  const port = url.port === '' ? (webPorts[transport] ?? defaultPorts[transport]) : Number(url.port);
  const path = isWeb ? `${url.pathname === '/' ? defaultPath : url.pathname}${url.search}` : '';
  const username = decoded(url.username);
  const password = decoded(url.password);
  if (username instanceof URIError || password instanceof URIError) return undefined;
  return { endpoint: { transport, host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, path }, username, password };
}

export function endpointOf(transport: Transport, host: string, port: number): Endpoint {
  return { transport, host, port, path: transport === 'ws' || transport === 'wss' ? defaultPath : '' };
}

/** For messages; never with a password. */
export function endpointText({ transport, host, port, path }: Endpoint): string {
  const scheme = transport === 'tcp' ? 'mqtt' : transport === 'tls' ? 'mqtts' : transport;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
}

function decoded(part: string): string | undefined | URIError {
  if (part === '') return undefined;
  try {
    return decodeURIComponent(part);
  } catch (error) {
    return error as URIError;
  }
}
