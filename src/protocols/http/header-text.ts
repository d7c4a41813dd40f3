// Texts in headers, which hold visible ASCII only (RFC 9110 §5.5): everything else is percent-encoded UTF-8, in values and in the names
// of properties. Binary values are written as structured fields write them (RFC 8941 §3.3.5): `:base64:`.

const binary = /^:([A-Za-z0-9+/]*={0,2}):$/;

/** Undefined: a broken percent-encoding. */
export function decodedText(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Lone surrogates become U+FFFD. */
export function encodedText(text: string): string {
  if (/^[!-$&-9;-~]([ -$&-~]*[!-$&-~])?$/.test(text)) return text;
  return percentEncoded(text.toWellFormed(), /[^ -$&-~]|^[ :]| $/gu);
}

/** As the end of a header’s name: those are not case-sensitive, so capitals are encoded, too. */
export function encodedName(text: string): string {
  return percentEncoded(text.toWellFormed(), /[^a-z0-9._~-]/gu);
}

/** Undefined: `text` is not one. */
export function binaryOf(text: string): Uint8Array | undefined {
  const found = binary.exec(text);
  return found === null ? undefined : new Uint8Array(Buffer.from(found[1]!, 'base64'));
}

export function binaryText(bytes: Uint8Array): string {
  return `:${Buffer.from(bytes).toString('base64')}:`;
}

function percentEncoded(text: string, what: RegExp): string {
  return text.replace(what, (found) =>
    [...Buffer.from(found)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
