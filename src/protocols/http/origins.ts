// Which web pages may use the API (the Fetch standard's CORS). A page of another origin could also send what needs no preflight, with
// the certificate or password that the browser adds by itself: so what it sends is refused, not only what it would read.

import type { AnswerHeaders } from '../http-exchange.ts';

const exposed =
  'ETag, Last-Modified, Qos, Priority, Expires, Sender, Correlation-Id, Message-Id, Reply-To, Delivery-Id, Lease-Until, Delivery-Count, Retry-After, Location';

export type OriginVerdict =
  /** No page, or one of this origin. */
  { readonly kind: 'own' } | { readonly kind: 'allowed'; readonly headers: AnswerHeaders } | { readonly kind: 'refused' };

const own: OriginVerdict = { kind: 'own' };
const refused: OriginVerdict = { kind: 'refused' };

/** `host`: of the request. */
export function judgeOrigin(
  allowed: readonly string[],
  origin: string | undefined,
  host: string | undefined,
  isSecure: boolean,
): OriginVerdict {
  if (origin === undefined) return own;
  if (host !== undefined && origin.toLowerCase() === `${isSecure ? 'https' : 'http'}://${host.toLowerCase()}`) return own;
  if (!allowed.some((pattern) => matches(pattern, origin))) return refused;
  return {
    kind: 'allowed',
    headers: {
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': exposed,
      Vary: 'Origin',
    },
  };
}

/**
 * A page elsewhere that does not say where (`no-cors`). It cannot read the answer, but the browser adds certificate or password: it
 * could open streams and take subscriptions over, or run an answer as its script. Browsers tell of it (Fetch Metadata). Who follows a
 * link comes from elsewhere, too, and is welcome.
 */
export function isSentFromElsewhere(site: string | undefined, mode: string | undefined): boolean {
  return (site === 'cross-site' || site === 'same-site') && mode !== 'navigate';
}

/** `https://example.com:*` is any port, and none. */
function matches(pattern: string, origin: string): boolean {
  if (!pattern.endsWith(':*')) return pattern === origin;
  const host = pattern.slice(0, -2);
  return origin === host || (origin.startsWith(`${host}:`) && /^\d+$/.test(origin.slice(host.length + 1)));
}

export function preflightHeaders(methods: readonly string[], askedHeaders: string | undefined, maxAgeSec: number): AnswerHeaders {
  return {
    'Access-Control-Allow-Methods': methods.join(', '),
    // Properties have names of their own, so there is no list.
    ...(askedHeaders !== undefined && /^[!-~ ]*$/.test(askedHeaders) && { 'Access-Control-Allow-Headers': askedHeaders }),
    'Access-Control-Max-Age': String(maxAgeSec),
  };
}

/**
 * A name that leads here only on this machine. Where somebody is welcome who shows nothing, a page could else reach us by a name of
 * its own that it lets point here (DNS rebinding).
 */
export function isLocalOrAddress(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d+$/, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || /^\[[0-9a-f:.]+\]$/.test(name) || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}
