// Fetches small public things over HTTP, from where somebody else has said: bounded in size and time, without redirects, and not
// from this machine or its network unless that is allowed, because a certificate must not make this node ask its neighbours.

import { lookup as resolve } from 'node:dns';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net';

export type FetchLimits = { readonly timeoutMs: number; readonly maxBytes: number; readonly privateAddresses: boolean };

export type FetchRequest = FetchLimits & {
  readonly url: string;
  /** Absent: GET. */
  readonly post?: { readonly body: Uint8Array; readonly type: string };
};

/** Resolves with the body of a 200 answer. @throws Error that says in a word why not */
export type Fetch = (request: FetchRequest) => Promise<Buffer>;

const privateIpv4 = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  privateIpv4.addSubnet(network, prefix, 'ipv4');
}
// A list of its own: Node holds an IPv4 address for one of ::/3, too.
const privateIpv6 = new BlockList();
// Of IPv6 only 2000::/3 is in public use; in it stand the tunnels that lead to IPv4 addresses.
for (const [network, prefix] of [
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 32],
  ['2002::', 16],
  ['2001:db8::', 32],
] as const) {
  privateIpv6.addSubnet(network, prefix, 'ipv6');
}

export function isPrivateAddress(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  const plain = mapped ?? address;
  return isIPv6(plain) ? privateIpv6.check(plain, 'ipv6') : privateIpv4.check(plain, 'ipv4');
}

/** Resolves names, and does not tell of addresses that may not be asked. */
const publicLookup: LookupFunction = (hostname, options, done) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return done(error, []);
    if (addresses.some(({ address }) => isPrivateAddress(address))) return done(new Error('private-address'), []);
    if (options.all === true) return done(null, addresses);
    done(null, addresses[0]!.address, addresses[0]!.family);
  });
};

export const fetchPublic: Fetch = ({ url, post, timeoutMs, maxBytes, privateAddresses }) => {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '') {
    return Promise.reject(new Error('address'));
  }
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  // Names are looked at when they are resolved.
  if (!privateAddresses && isIP(host) !== 0 && isPrivateAddress(host)) return Promise.reject(new Error('private-address'));
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      // Only the time that is up aborts it.
      reject(new Error(error.name === 'AbortError' ? 'timeout' : (error.code ?? error.message)));
    };
    const options: RequestOptions = {
      method: post === undefined ? 'GET' : 'POST',
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        'User-Agent': 'heliograph',
        Accept: '*/*',
        ...(post && { 'Content-Type': post.type, 'Content-Length': post.body.length }),
      },
      ...(privateAddresses ? {} : { lookup: publicLookup }),
    };
    const start = parsed.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = start(parsed, options, (response) => {
      if (response.statusCode !== 200 || Number(response.headers['content-length'] ?? 0) > maxBytes) {
        request.destroy();
        return reject(new Error(response.statusCode === 200 ? 'too-large' : `status-${response.statusCode}`));
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes <= maxBytes) return;
        request.destroy();
        reject(new Error('too-large'));
      });
      response.on('end', () => resolve(Buffer.concat(chunks)));
      response.on('error', fail);
    });
    request.on('error', fail);
    request.end(post?.body);
  });
};
