// A registration in the resource directory (RFC 9176 §5): a device says which resources it serves. As it is kept: JSON below `$coap/rd/`.

import type { WireFacts } from '../../protocol.ts';
import { attributeOf, type Link, type LinkAttribute, matchesOne, parseLinks, pathTarget } from './links.ts';

/** RFC 9176 §5: an endpoint name has up to 63 bytes, a lifetime of 90,000 s if none is given. */
const maxNameBytes = 63;
const defaultLifetimeSec = 90_000;
export const maxAttributes = 16;

export type RegistrationTerms = {
  readonly ep: string;
  readonly sector: string;
  /** Undefined: not said. */
  readonly lifetimeSec: number | undefined;
  readonly base: string | undefined;
  /** The other arguments of the query: `et`, `b` and what the device likes. */
  readonly attributes: readonly LinkAttribute[];
};

export type Registration = {
  /** What is behind `/rd/`. */
  readonly key: string;
  readonly ep: string;
  readonly sector: string;
  readonly owner: string;
  readonly lifetimeSec: number;
  /** As the device said; undefined: where it was heard from. */
  readonly base: string | undefined;
  readonly heardAt: string;
  readonly attributes: readonly LinkAttribute[];
  readonly links: readonly Link[];
  readonly linksText: string;
  /** Wall clock. */
  readonly expiresAtMs: number;
};

/** Undefined: the query cannot be read. `ownName`: of who registers. */
export function registrationTerms(query: ReadonlyMap<string, string>, ownName: string): RegistrationTerms | undefined {
  const ep = query.get('ep') ?? ownName;
  const sector = query.get('d') ?? '';
  const lt = query.get('lt');
  const base = query.get('base');
  if (ep === '' || Buffer.byteLength(ep) > maxNameBytes || Buffer.byteLength(sector) > maxNameBytes) return undefined;
  // RFC 9176 §5: 1 to 4,294,967,295.
  if (lt !== undefined && !(/^[1-9]\d{0,9}$/.test(lt) && Number(lt) <= 4_294_967_295)) return undefined;
  if (base !== undefined && !/^[a-z][a-z0-9+.-]*:\/\/[^/?#\s<>"]+$/i.test(base)) return undefined;
  const attributes: LinkAttribute[] = [];
  for (const [name, value] of query) {
    if (name === 'ep' || name === 'd' || name === 'lt' || name === 'base') continue;
    if (!/^[A-Za-z][A-Za-z0-9_.-]{0,62}$/.test(name) || attributes.length >= maxAttributes) return undefined;
    attributes.push({ name, value });
  }
  return { ep, sector, lifetimeSec: lt === undefined ? undefined : Number(lt), base, attributes };
}

/** One name for what a device is registered as: a level of a topic, a segment of a path. */
export function registrationKey(ep: string, sector: string): string {
  return sector === '' ? encoded(ep) : `${encoded(ep)}~${encoded(sector)}`;
}

function encoded(name: string): string {
  // RFC 7252 §5.10.7: `.` and `..` are no segments of a location.
  if (name === '.' || name === '..') return name.replaceAll('.', '%2E');
  return encodeURIComponent(name).replaceAll('~', '%7E');
}

export function lifetimeOf({ lifetimeSec }: RegistrationTerms, max: number, before = defaultLifetimeSec): number {
  return Math.min(lifetimeSec ?? before, max);
}

/** Where a peer that says nothing else is reached (RFC 9176 §5). */
export function addressOf({ remoteAddress, remotePort, secure }: WireFacts, isReliable: boolean): string {
  const host = remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress;
  return `${secure ? 'coaps' : 'coap'}${isReliable ? '+tcp' : ''}://${host}:${remotePort}`;
}

/** The topic below which commands to a device are published. `template`: as it is configured. */
export function commandTopicOf(template: string, ep: string): string {
  // Not as text: `$&` in a name would stand for something else.
  return template.replaceAll('{ep}', () => ep);
}

export function baseOf({ base, heardAt }: Registration): string {
  return base ?? heardAt;
}

/** What the lookup of endpoints tells (RFC 9176 §6.4). */
export function endpointLink(registration: Registration): Link {
  const { key, ep, sector, attributes } = registration;
  return {
    target: pathTarget(['rd', key]),
    attributes: [
      { name: 'ep', value: ep },
      ...(sector === '' ? [] : [{ name: 'd', value: sector }]),
      { name: 'base', value: baseOf(registration) },
      ...attributes,
      { name: 'rt', value: 'core.rd-ep' },
    ],
  };
}

/** What the lookup of resources tells: links that stand by themselves (RFC 9176 §6.1). */
export function resourceLinks(registration: Registration): Link[] {
  const base = baseOf(registration);
  return registration.links.map(({ target, attributes }) => ({
    target: absolute(target, base),
    attributes: attributes.map((one) =>
      one.name === 'anchor' && one.value !== undefined ? { name: 'anchor', value: absolute(one.value, base) } : one,
    ),
  }));
}

function absolute(target: string, base: string): string {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return target;
  return target.startsWith('/') ? base + target : `${base}/${target}`;
}

/** RFC 9176 §6.2: each argument is met by the link, or by what registered it. */
export function meetsAll(link: Link, endpoint: Link, query: readonly (readonly [string, string])[]): boolean {
  return query.every(([name, wanted]) => matchesOne(link, name, wanted) || (name !== 'href' && matchesOne(endpoint, name, wanted)));
}

/** RFC 9176 §6.2: an endpoint meets what it, or one of its links, does. */
export function endpointMeets(endpoint: Link, links: readonly Link[], query: readonly (readonly [string, string])[]): boolean {
  return query.every(([name, wanted]) => matchesOne(endpoint, name, wanted) || links.some((link) => matchesOne(link, name, wanted)));
}

export function queueMode({ attributes }: Registration): boolean {
  // OMA LwM2M 1.1 §6.2.1.2: U, UQ, S…; Q: it sleeps, and wants what waits for it when it registers or updates.
  return attributeOf({ target: '', attributes }, 'b')?.includes('Q') === true;
}

export function encodeRegistration({ links: _links, ...kept }: Registration): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: 1, ...kept }));
}

/** Undefined: it is none that this version knows. */
export function decodeRegistration(payload: Uint8Array): Registration | undefined {
  let kept: Registration & { readonly version: number };
  try {
    kept = JSON.parse(new TextDecoder().decode(payload)) as typeof kept;
  } catch {
    return undefined;
  }
  if (kept?.version !== 1 || typeof kept.key !== 'string' || typeof kept.linksText !== 'string') return undefined;
  const links = parseLinks(kept.linksText);
  return links && { ...kept, links };
}
