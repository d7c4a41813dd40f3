// Internet addresses as text.

const mappedIpv4 = '::ffff:';

/** As people write it: an IPv4 peer of a dual-stack listener is `192.0.2.1`, not `::ffff:192.0.2.1`. */
export function plainAddress(address: string): string {
  return address.startsWith(mappedIpv4) && address.includes('.') ? address.slice(mappedIpv4.length) : address;
}

/**
 * Whom to count an address for: an IPv4 address itself, of an IPv6 one its /64, since every customer of a network has at
 * least one /64 and could otherwise come from 2^64 addresses.
 */
export function countedAddress(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = withoutZone(address).split('::', 2);
  const front = head === '' ? [] : head.split(':');
  if (tail === undefined) return front.slice(0, 4).join(':');
  const back = tail === '' ? [] : tail.split(':');
  // A trailing IPv4 part stands for two groups.
  const groups = back.length + (tail.includes('.') ? 1 : 0);
  while (front.length + groups < 8) front.push('0');
  return [...front, ...back].slice(0, 4).join(':');
}

function withoutZone(address: string): string {
  const percent = address.indexOf('%');
  return percent < 0 ? address : address.slice(0, percent);
}

/** `host:port`, with an IPv6 host in brackets. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
