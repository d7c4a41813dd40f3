// ClientHello, ServerHello and HelloVerifyRequest (RFC 6347 §4.2.1, RFC 5246 §7.4.1), with the extensions this server knows.

import { fail } from './alert.ts';
import { ByteReader, u16, u8, vector } from './bytes.ts';
import { dtls10, dtls12 } from './record.ts';

export const extensionTypes = {
  serverName: 0,
  maxFragmentLength: 1,
  supportedGroups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  clientCertificateType: 19,
  serverCertificateType: 20,
  extendedMasterSecret: 23,
  connectionId: 54,
  renegotiationInfo: 0xff01,
} as const;

/** TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 §3.3). */
const renegotiationScsv = 0x00ff;
const nullCompression = 0;

/** CertificateType (RFC 7250 §7). */
export const certificateTypes = { x509: 0, rawPublicKey: 2 } as const;

export type ClientHello = {
  readonly version: number;
  /** 32 bytes. */
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly cookie: Uint8Array;
  readonly suites: readonly number[];
  readonly serverName: string | undefined;
  /** Bytes in a record (RFC 6066 §4). */
  readonly maxFragment: number | undefined;
  readonly groups: readonly number[] | undefined;
  readonly hasPointFormats: boolean;
  readonly signatureAlgorithms: readonly number[] | undefined;
  /** What it can show, and what it can check, the most wanted first. */
  readonly clientCertificateTypes: readonly number[] | undefined;
  readonly serverCertificateTypes: readonly number[] | undefined;
  readonly hasExtendedMasterSecret: boolean;
  /** What we are to put into records for it; empty: nothing. undefined: it knows no Connection IDs. */
  readonly connectionId: Uint8Array | undefined;
  readonly hasRenegotiationInfo: boolean;
};

/** The part before the cipher suites, of which the first fragment must hold all. */
export type HelloStart = { readonly random: Uint8Array; readonly sessionId: Uint8Array; readonly cookie: Uint8Array };

/** @throws HandshakeEnd */
export function readHelloStart(reader: ByteReader): HelloStart & { readonly version: number } {
  const version = reader.u16();
  const random = reader.take(32);
  const sessionId = reader.vector(1);
  if (sessionId.length > 32) fail('decode-error', 'protocol');
  return { version, random, sessionId, cookie: reader.vector(1) };
}

/** @throws HandshakeEnd */
export function readClientHello(body: Uint8Array): ClientHello {
  const reader = new ByteReader(body);
  const start = readHelloStart(reader);
  const suites = reader.u16List(2);
  const compressions = reader.vector(1, 1);
  if (!compressions.includes(nullCompression)) fail('decode-error', 'protocol');
  const extensions = reader.left === 0 ? new Map<number, Uint8Array>() : readExtensions(reader);
  reader.end();
  const found = <T>(type: number, read: (body: ByteReader) => T): T | undefined => {
    const extension = extensions.get(type);
    if (extension === undefined) return undefined;
    const from = new ByteReader(extension);
    const value = read(from);
    from.end();
    return value;
  };
  const renegotiation = found(extensionTypes.renegotiationInfo, (from) => from.vector(1));
  // A first handshake has nothing to renegotiate (RFC 5746 §3.6).
  if (renegotiation !== undefined && renegotiation.length > 0) fail('handshake-failure', 'protocol');
  const formats = found(extensionTypes.pointFormats, (from) => from.vector(1, 1));
  if (formats !== undefined && !formats.includes(0)) fail('illegal-parameter', 'protocol');
  return {
    ...start,
    suites,
    serverName: found(extensionTypes.serverName, readServerName),
    maxFragment: found(extensionTypes.maxFragmentLength, readMaxFragment),
    groups: found(extensionTypes.supportedGroups, (from) => from.u16List(2)),
    hasPointFormats: formats !== undefined,
    signatureAlgorithms: found(extensionTypes.signatureAlgorithms, (from) => from.u16List(2)),
    clientCertificateTypes: found(extensionTypes.clientCertificateType, (from) => [...from.vector(1, 1)]),
    serverCertificateTypes: found(extensionTypes.serverCertificateType, (from) => [...from.vector(1, 1)]),
    hasExtendedMasterSecret: found(extensionTypes.extendedMasterSecret, () => true) ?? false,
    connectionId: found(extensionTypes.connectionId, (from) => new Uint8Array(from.vector(1))),
    hasRenegotiationInfo: renegotiation !== undefined || suites.includes(renegotiationScsv),
  };
}

function readExtensions(reader: ByteReader): Map<number, Uint8Array> {
  const list = new ByteReader(reader.vector(2));
  const found = new Map<number, Uint8Array>();
  while (list.left > 0) {
    const type = list.u16();
    // RFC 5246 §7.4.1.4: not more than one of the same type.
    if (found.has(type)) fail('decode-error', 'protocol');
    found.set(type, list.vector(2));
  }
  return found;
}

/** RFC 6066 §3: the entry of type host_name. */
function readServerName(from: ByteReader): string | undefined {
  const list = new ByteReader(from.vector(2, 1));
  let name: string | undefined;
  while (list.left > 0) {
    const type = list.u8();
    const bytes = list.vector(2, 1);
    if (type === 0 && bytes.length <= 255) name = Buffer.from(bytes).toString('latin1').toLowerCase();
  }
  return name;
}

function readMaxFragment(from: ByteReader): number {
  const code = from.u8();
  if (code < 1 || code > 4) fail('illegal-parameter', 'protocol');
  return 2 ** (8 + code);
}

export type ServerHello = {
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly suite: number;
  readonly extensions: readonly { readonly type: number; readonly body: Uint8Array }[];
};

export function writeServerHello({ random, sessionId, suite, extensions }: ServerHello): Uint8Array {
  const head = [u16(dtls12), random, vector(1, sessionId), u16(suite), u8(nullCompression)];
  if (extensions.length === 0) return Buffer.concat(head);
  const list = extensions.flatMap(({ type, body }) => [u16(type), vector(2, body)]);
  return Buffer.concat([...head, vector(2, ...list)]);
}

/** Its version is always that of DTLS 1.0 (RFC 6347 §4.2.1). */
export function writeHelloVerifyRequest(cookie: Uint8Array): Uint8Array {
  return Buffer.concat([u16(dtls10), vector(1, cookie)]);
}
