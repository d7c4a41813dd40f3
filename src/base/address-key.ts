// One peer by its address, for everything that counts what peers do.

/**
 * What counts as one address: an IPv6 peer usually has a whole /64 to itself, and an IPv4 peer may come by an IPv6 socket.
 */
export function addressKey(remoteAddress: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(remoteAddress);
  if (mapped !== null) return mapped[1]!;
  if (!remoteAddress.includes(':')) return remoteAddress;
  const [head = '', tail] = remoteAddress.toLowerCase().split('%')[0]!.split('::');
  const first = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const last = tail === '' ? [] : tail.split(':');
    while (first.length + last.length < 8) first.push('0');
    first.push(...last);
  }
  return `${first.slice(0, 4).join(':')}::/64`;
}
