// What peers say within SASL mechanisms whose messages are read here. SCRAM is read by src/security.

const nul = 0x00;
const ctrlA = 0x01;

export type PlainMessage = { readonly authzid: string; readonly authcid: string; readonly password: Uint8Array };

/** `[authzid] NUL authcid NUL passwd` (RFC 4616 §2); undefined: it is something else. The password is a view. */
export function readPlain(bytes: Uint8Array): PlainMessage | undefined {
  const first = bytes.indexOf(nul);
  const second = first === -1 ? -1 : bytes.indexOf(nul, first + 1);
  if (second === -1 || bytes.includes(nul, second + 1)) return undefined;
  const authzid = textOf(bytes.subarray(0, first));
  const authcid = textOf(bytes.subarray(first + 1, second));
  if (authzid === undefined || authcid === undefined || authcid === '') return undefined;
  return { authzid, authcid, password: bytes.subarray(second + 1) };
}

export type BearerMessage = { readonly authzid: string; readonly token: Uint8Array };

/**
 * `n,[a=authzid],^A` and key-value pairs, each ended by ^A, and one ^A more (RFC 7628 §3.1). Undefined: it is something else, or
 * wants channel binding, or holds no bearer token.
 */
export function readBearer(bytes: Uint8Array): BearerMessage | undefined {
  const headerEnd = bytes.indexOf(ctrlA);
  if (headerEnd === -1 || bytes.length < headerEnd + 2) return undefined;
  if (bytes[bytes.length - 1] !== ctrlA || bytes[bytes.length - 2] !== ctrlA) return undefined;
  const header = textOf(bytes.subarray(0, headerEnd));
  // `y`: the peer could bind channels and thinks that we cannot, which is so.
  const parts = header === undefined ? null : /^[ny],(?:a=([^,]*))?,$/.exec(header);
  if (parts === null) return undefined;
  const authzid = (parts[1] ?? '').replaceAll('=2C', ',').replaceAll('=3D', '=');
  for (let at = headerEnd + 1; at < bytes.length - 1;) {
    const end = bytes.indexOf(ctrlA, at);
    const token = bearerOf(bytes.subarray(at, end));
    if (token !== undefined) return { authzid, token };
    at = end + 1;
  }
  return undefined;
}

/** `auth=Bearer <token>`; the scheme's case does not matter (RFC 7628 §3.1, RFC 7235 §2.1). */
function bearerOf(pair: Uint8Array): Uint8Array | undefined {
  const scheme = 'auth=bearer ';
  if (pair.length <= scheme.length || Buffer.from(pair.subarray(0, scheme.length)).toString('latin1').toLowerCase() !== scheme)
    return undefined;
  return pair.subarray(scheme.length);
}

/** What the peer wants to hear when its token is refused (RFC 7628 §3.2.2). It answers with one ^A. */
export const bearerRefused: Uint8Array = new Uint8Array(Buffer.from('{"status":"invalid_token"}'));

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined: it is not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
