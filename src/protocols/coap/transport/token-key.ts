// A token as the key of a Map: a number where it fits into one, so that most requests make no string.

const zero = new Uint8Array(0);

export type TokenKey = number | string;

export function tokenKey(token: Uint8Array = zero): TokenKey {
  const { length } = token;
  // Six bytes and their number fit into 53 bits.
  if (length <= 6) {
    let value = 0;
    for (let i = 0; i < length; i++) value = value * 256 + token[i]!;
    return value + length * 0x1_0000_0000_0000;
  }
  let text = '';
  for (let i = 0; i < length; i++) text += String.fromCharCode(token[i]!);
  return text;
}
