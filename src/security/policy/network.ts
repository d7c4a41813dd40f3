// Networks in CIDR notation, and whether an address is in one. An IPv4 address that comes in IPv6 clothes (::ffff:192.0.2.1) is
// taken for what it is.

export type Network = { readonly bytes: readonly number[]; readonly bits: number };

/** 4 or 16 bytes; undefined when it is no address. A zone (`%eth0`) is left out. */
export function addressBytes(text: string): readonly number[] | undefined {
  if (text.length > 100) return undefined;
  if (!text.includes(':')) return ipv4(text);
  const bytes = ipv6(text.replace(/%.*$/, ''));
  const isMapped = bytes !== undefined && bytes[10] === 255 && bytes[11] === 255 && bytes.slice(0, 10).every((byte) => byte === 0);
  return isMapped ? bytes.slice(12) : bytes;
}

function ipv4(text: string): readonly number[] | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const bytes = parts?.slice(1).map(Number);
  // A leading zero means octal to some readers.
  return bytes?.every((byte, i) => byte <= 255 && String(byte) === parts![i + 1]) === true ? bytes : undefined;
}

/** RFC 4291 §2.2. */
function ipv6(given: string): readonly number[] | undefined {
  let text = given;
  const dotted = text.slice(text.lastIndexOf(':') + 1);
  if (dotted.includes('.')) {
    const low = ipv4(dotted);
    if (low === undefined) return undefined;
    const pair = (high: number, second: number): string => ((high << 8) | second).toString(16);
    text = `${text.slice(0, text.length - dotted.length)}${pair(low[0]!, low[1]!)}:${pair(low[2]!, low[3]!)}`;
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':'))) as [string[], string[] | undefined];
  const groups = tail === undefined ? head : [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail];
  if (groups.length !== 8 || (tail !== undefined && head.length + tail.length > 7)) return undefined;
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]);
}

/** An address alone is the network that holds nothing else. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', length, more] = text.split('/');
  const bytes = more === undefined ? addressBytes(address) : undefined;
  if (bytes === undefined || address.includes('%')) return undefined;
  if (length === undefined) return { bytes, bits: bytes.length * 8 };
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined;
  // Of an IPv4 address in IPv6 clothes the length counts from the start of the clothes.
  const bits = Number(length) - (address.includes(':') && bytes.length === 4 ? 96 : 0);
  return bits >= 0 && bits <= bytes.length * 8 ? { bytes, bits } : undefined;
}

/** The same with all bits behind the network's length cleared, as text. */
export function networkText({ bytes, bits }: Network): string {
  const cleared = bytes.map((byte, i) => byte & maskOf(bits - i * 8));
  if (cleared.length === 4) return `${cleared.join('.')}/${bits}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((cleared[2 * i]! << 8) | cleared[2 * i + 1]!).toString(16));
  return `${groups.join(':').replace(/(?:(?:^|:)0)+$/, '::')}/${bits}`;
}

/** Bits of the host part are set: perhaps a longer length was meant. */
export function hasHostBits({ bytes, bits }: Network): boolean {
  return bytes.some((byte, i) => (byte & ~maskOf(bits - i * 8)) !== 0);
}

export function isInNetwork(address: readonly number[], { bytes, bits }: Network): boolean {
  if (address.length !== bytes.length) return false;
  for (let i = 0; i * 8 < bits; i++) if (((address[i]! ^ bytes[i]!) & maskOf(bits - i * 8)) !== 0) return false;
  return true;
}

/** The mask of one byte of which `bits` belong to the network. */
function maskOf(bits: number): number {
  return bits >= 8 ? 255 : bits <= 0 ? 0 : (255 << (8 - bits)) & 255;
}
