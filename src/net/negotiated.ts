// What a TLS handshake has agreed on.

import type { TLSSocket } from 'node:tls';

export type Negotiated = {
  /** TLSv1.2, TLSv1.3. */
  readonly version: string;
  readonly cipher: string;
  /** Of the key exchange; `none` where there was none, `other` for one without a name here. */
  readonly group: string;
};

/** TLS Supported Groups, IANA. */
const groupNames: Readonly<Record<number, string>> = {
  0x0017: 'P-256',
  0x0018: 'P-384',
  0x0019: 'P-521',
  0x001d: 'X25519',
  0x001e: 'X448',
  0x0200: 'MLKEM512',
  0x0201: 'MLKEM768',
  0x0202: 'MLKEM1024',
  0x11eb: 'SecP256r1MLKEM768',
  0x11ec: 'X25519MLKEM768',
  0x11ed: 'SecP384r1MLKEM1024',
};

export function negotiated(socket: TLSSocket): Negotiated {
  // Node tells the group to clients only (getEphemeralKeyInfo); OpenSSL writes it into the session.
  const session = socket.getSession();
  const group = session === undefined ? undefined : groupIn(session);
  // In TLS 1.2 it holds the master secret.
  session?.fill(0);
  return {
    version: socket.getProtocol() ?? 'none',
    cipher: socket.getCipher().name,
    group: group === undefined ? 'none' : (groupNames[group] ?? 'other'),
  };
}

/** `[19] EXPLICIT INTEGER` of OpenSSL's SSL_SESSION. */
const groupTag = 0xb3;
const sequenceTag = 0x30;
const integerTag = 0x02;

/** The number of the group in a session as OpenSSL writes it (DER); undefined when there is none. */
export function groupIn(session: Uint8Array): number | undefined {
  if (session[0] !== sequenceTag) return undefined;
  let at = bodyOf(session, 0)?.start ?? session.length;
  while (at < session.length) {
    const body = bodyOf(session, at);
    if (body === undefined) return undefined;
    if (session[at] === groupTag) {
      const number = session[body.start] === integerTag ? bodyOf(session, body.start) : undefined;
      if (number === undefined) return undefined;
      let value = 0;
      for (let i = number.start; i < number.end; i++) value = value * 256 + session[i]!;
      return value;
    }
    at = body.end;
  }
  return undefined;
}

function bodyOf(der: Uint8Array, at: number): { readonly start: number; readonly end: number } | undefined {
  const first = der[at + 1];
  if (first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (lengthBytes > 3) return undefined;
  let length = first < 0x80 ? first : 0;
  for (let i = 0; i < lengthBytes; i++) length = length * 256 + (der[at + 2 + i] ?? 0);
  const start = at + 2 + lengthBytes;
  return start + length > der.length ? undefined : { start, end: start + length };
}
