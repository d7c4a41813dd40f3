// Bodies of EST are base64 of DER, whatever a Content-Transfer-Encoding says (RFC 8951 §3.1).

export type EstBody = { readonly der: Uint8Array } | { readonly fault: string };

/** White space may stand anywhere in it, also none at all (RFC 8951 §3.1). */
export function decodeBody(body: Uint8Array): EstBody {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    .toString('latin1')
    .replaceAll(/[ \t\r\n]+/g, '');
  if (text === '') return { fault: 'The body is empty: it must be a request (PKCS #10, DER) in base64.' };
  if (text.startsWith('-----BEGIN')) return { fault: 'The body is PEM: leave its first and last line away.' };
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return { fault: 'The body is not base64.' };
  return { der: Buffer.from(text, 'base64') };
}

const lineLength = 76;

/** Lines of 76 characters: old clients read no longer ones (RFC 2045 §6.8). Without CR, which `base64 -d` would stumble over. */
export function encodeBody(der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64');
  return text.replaceAll(new RegExp(`.{1,${lineLength}}`, 'g'), '$&\n');
}
