// What a request says of who sends it (RFC 9110 §11.6.2): a password (RFC 7617) or a bearer token (RFC 6750).

import type { Credentials, Method } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';

export type Said = { readonly username: string | undefined; readonly password: Uint8Array | undefined };

const nothing: Said = { username: undefined, password: undefined };
/** As long as what the authentication takes. */
const maxBytes = 16 * 1024;

/** Undefined: it cannot be read, or is of a scheme that is not offered. */
export function saidBy(authorization: string | undefined): Said | undefined {
  if (authorization === undefined) return nothing;
  if (authorization.length > maxBytes) return undefined;
  const found = /^([A-Za-z]+) +([A-Za-z0-9._~+/-]+=*)$/.exec(authorization);
  if (found === null) return undefined;
  const [, scheme = '', token = ''] = found;
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { username: undefined, password: new TextEncoder().encode(token) };
    case 'basic':
      return basic(token);
    default:
      return undefined;
  }
}

function basic(token: string): Said | undefined {
  const bytes = Buffer.from(token, 'base64');
  const colon = bytes.indexOf(0x3a);
  if (colon === -1) return undefined;
  return { username: bytes.toString('utf8', 0, colon), password: new Uint8Array(bytes.subarray(colon + 1)) };
}

/** By what it may connect is asked when it is known who it is: peers of HTTP have no name besides. */
export function credentialsOf(facts: WireFacts, said: Said): Credentials {
  return {
    listener: facts.listener,
    remoteAddress: facts.remoteAddress,
    secure: facts.secure,
    clientId: '',
    nameComesLater: true,
    username: said.username,
    password: said.password,
    certificate: facts.peerCertificate,
    ...(facts.pskIdentity !== undefined && { pskIdentity: facts.pskIdentity }),
  };
}

/** For a 401: what could help (RFC 9110 §11.6.1). */
export function challenges(accepted: readonly Method[]): readonly string[] {
  const offers: string[] = [];
  if (accepted.includes('jwt')) offers.push('Bearer realm="heliograph"');
  if (accepted.includes('password') || accepted.includes('webhook')) offers.push('Basic realm="heliograph", charset="UTF-8"');
  // A 401 must have one, even where only a certificate helps.
  return offers.length > 0 ? offers : ['Certificate realm="heliograph"'];
}
