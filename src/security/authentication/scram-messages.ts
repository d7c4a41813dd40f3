// The messages of SCRAM (RFC 5802 §7), read strictly: every attribute in its place, nothing that is not known to be harmless.

/** Longer messages are refused before they are looked at. Twice a name and a nonce of the greatest length, escaped, is less. */
export const maxScramBytes = 2048;
const maxNonceLength = 512;

export type ClientFirst = {
  /** With the two commas: what the client's last message repeats (RFC 5802 §6). */
  readonly gs2Header: string;
  /** `y`: the client could bind the channel and believes that the server cannot. */
  readonly binding: 'n' | 'y';
  readonly authorizationId: string | undefined;
  readonly username: string;
  readonly nonce: string;
  readonly bare: string;
};

export type ClientFinal = {
  readonly channelBinding: Uint8Array;
  readonly nonce: string;
  readonly proof: Uint8Array;
  readonly withoutProof: string;
};

export type ScramFault = 'malformed' | 'channel-binding-not-offered' | 'extension-not-supported';

/** Printable ASCII but the comma (RFC 5802 §7). */
const noncePattern = /^[\x21-\x2b\x2d-\x7e]+$/;
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const extensionPattern = /^[A-Za-z]=[^\0,]+$/u;

export function readClientFirst(data: Uint8Array): ClientFirst | ScramFault {
  const text = textOf(data);
  if (text === undefined) return 'malformed';
  const [flag, authorization, ...attributes] = text.split(',');
  if (flag === undefined || authorization === undefined) return 'malformed';
  if (flag.startsWith('p=')) return 'channel-binding-not-offered';
  if (flag !== 'n' && flag !== 'y') return 'malformed';
  if (authorization !== '' && !authorization.startsWith('a=')) return 'malformed';
  const authorizationId = authorization === '' ? undefined : unescaped(authorization.slice(2));
  if (authorization !== '' && authorizationId === undefined) return 'malformed';
  const [name = '', nonce = '', ...extensions] = attributes;
  // RFC 5802 §5.1: an extension that must be understood, and is not, fails the exchange.
  if (name.startsWith('m=')) return 'extension-not-supported';
  const username = name.startsWith('n=') ? unescaped(name.slice(2)) : undefined;
  if (username === undefined || !isNonce(nonce) || !extensions.every((one) => extensionPattern.test(one))) return 'malformed';
  const gs2Header = `${flag},${authorization},`;
  return { gs2Header, binding: flag, authorizationId, username, nonce: nonce.slice(2), bare: text.slice(gs2Header.length) };
}

export function readClientFinal(data: Uint8Array): ClientFinal | ScramFault {
  const text = textOf(data);
  if (text === undefined) return 'malformed';
  const [binding = '', nonce = '', ...rest] = text.split(',');
  const proof = rest.pop() ?? '';
  if (!binding.startsWith('c=') || !isNonce(nonce) || !proof.startsWith('p=')) return 'malformed';
  if (!rest.every((one) => extensionPattern.test(one))) return 'malformed';
  const channelBinding = bytesOf(binding.slice(2));
  const proofBytes = bytesOf(proof.slice(2));
  if (channelBinding === undefined || proofBytes === undefined) return 'malformed';
  return { channelBinding, nonce: nonce.slice(2), proof: proofBytes, withoutProof: text.slice(0, text.length - proof.length - 1) };
}

function isNonce(attribute: string): boolean {
  return attribute.startsWith('r=') && attribute.length <= maxNonceLength && noncePattern.test(attribute.slice(2));
}

function textOf(data: Uint8Array): string | undefined {
  if (data.length === 0 || data.length > maxScramBytes) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

/** RFC 5802 §5.1: `=2C` is a comma, `=3D` an equals sign, and no other `=` may stand in a name. */
function unescaped(name: string): string | undefined {
  if (name === '' || /=(?!2C|3D)/.test(name)) return undefined;
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

export function escaped(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C');
}

function bytesOf(text: string): Uint8Array | undefined {
  return text !== '' && base64Pattern.test(text) ? Buffer.from(text, 'base64') : undefined;
}
