// The revocation lists of authorities that are not ours: fetched when they are first needed, verified, kept, and fetched again
// before they end.

import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import type { CertificateFacts } from '../certificate-facts.ts';
import { readCrl, type CrlPart } from './crl-format.ts';
import type { Fetch, FetchLimits } from './public-fetch.ts';
import type { SerialTable } from './serial-table.ts';
import { verifySignature } from './signatures.ts';

export type ForeignSettings = FetchLimits & {
  readonly certificateUrls: boolean;
  readonly maxEntries: number;
  readonly maxLists: number;
  readonly maxAnswers: number;
  readonly maxRequests: number;
  readonly maxAgeMs: number;
  readonly retryMs: number;
};

export type ForeignServices = {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ForeignSettings;
  /** Told of every attempt; `fault`: a word, undefined when it went well. */
  readonly told: (kind: 'crl' | 'ocsp', url: string, fault: string | undefined) => void;
};

/** Clocks of others may be so much ahead. */
export const skewMs = 300_000;

type List = {
  readonly revoked: SerialTable;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly number: string | undefined;
  readonly part: CrlPart;
};

type Place = {
  readonly url: string;
  readonly issuer: CertificateFacts;
  list: List | undefined;
  fetching: Promise<void> | undefined;
  /** When it is to be fetched again though it is good, and when it may be after a failure. */
  refreshMs: number;
  retryMs: number;
  usedMs: number;
};

export class ForeignLists {
  readonly #services: ForeignServices;
  /** In the order of use. */
  readonly #places = new Map<string, Place>();
  #running = 0;

  constructor(services: ForeignServices) {
    this.#services = services;
  }

  get lists(): number {
    return this.#places.size;
  }

  get entries(): number {
    let sum = 0;
    for (const { list } of this.#places.values()) sum += list?.revoked.size ?? 0;
    return sum;
  }

  /** When the first of them ends; Infinity: there is none. */
  get earliestEndMs(): number {
    let earliest = Infinity;
    for (const { list } of this.#places.values()) earliest = Math.min(earliest, list?.nextUpdateMs ?? Infinity);
    return earliest;
  }

  /** What a list that is here says; undefined: there is none that is good now. */
  known(url: string, issuer: CertificateFacts, certificate: CertificateFacts): 'good' | 'revoked' | undefined {
    const place = this.#place(url, issuer);
    const nowMs = this.#services.clock.wallMs();
    if (place.list === undefined || place.list.nextUpdateMs <= nowMs) return undefined;
    if (nowMs >= place.refreshMs) void this.#fetch(place);
    if (place.list.revoked.get(certificate.serial) !== undefined) return 'revoked';
    // Lists come over plain HTTP: whoever stands between could give that of another part, which is signed as well.
    return isAbout(place.list.part, url, certificate) ? 'good' : undefined;
  }

  /** Fetches the list when it is not here. */
  async ask(url: string, issuer: CertificateFacts, certificate: CertificateFacts): Promise<'good' | 'revoked' | undefined> {
    const place = this.#place(url, issuer);
    // One that is here may be about other certificates: fetching it again would not help.
    if (place.list === undefined || place.list.nextUpdateMs <= this.#services.clock.wallMs()) await this.#fetch(place);
    return this.known(url, issuer, certificate);
  }

  /** Fetches those again that are used and due. To be called every few seconds. */
  tick(): void {
    const nowMs = this.#services.clock.wallMs();
    for (const [key, place] of this.#places) {
      const isUsed = nowMs - place.usedMs < this.#services.settings.maxAgeMs;
      if (place.list !== undefined && place.list.nextUpdateMs <= nowMs && !isUsed) this.#places.delete(key);
      else if (place.list !== undefined && nowMs >= place.refreshMs && isUsed) void this.#fetch(place);
    }
  }

  async idle(): Promise<void> {
    await Promise.all([...this.#places.values()].flatMap(({ fetching }) => fetching ?? []));
  }

  #place(url: string, issuer: CertificateFacts): Place {
    const key = `${issuer.keyId} ${url}`;
    const usedMs = this.#services.clock.wallMs();
    let place = this.#places.get(key);
    if (place === undefined) {
      for (const oldest of this.#places.keys()) {
        if (this.#places.size < this.#services.settings.maxLists) break;
        this.#places.delete(oldest);
      }
      place = { url, issuer, list: undefined, fetching: undefined, refreshMs: -Infinity, retryMs: -Infinity, usedMs };
    }
    this.#places.delete(key);
    this.#places.set(key, place);
    place.usedMs = usedMs;
    return place;
  }

  #fetch(place: Place): Promise<void> {
    const { clock, settings, told } = this.#services;
    if (place.fetching !== undefined) return place.fetching;
    if (clock.wallMs() < place.retryMs || this.#running >= settings.maxRequests) return Promise.resolve();
    this.#running++;
    place.fetching = this.#load(place)
      .then(
        () => told('crl', place.url, undefined),
        (error: unknown) => {
          place.retryMs = clock.wallMs() + settings.retryMs;
          told('crl', place.url, (error as Error).message);
        },
      )
      .finally(() => {
        this.#running--;
        place.fetching = undefined;
      });
    return place.fetching;
  }

  async #load(place: Place): Promise<void> {
    const { fetch, clock, random, settings } = this.#services;
    const { url, issuer } = place;
    const crl = await readCrl(derOf(await fetch({ ...settings, url })), () => turn(), settings.maxEntries);
    if (crl === undefined || crl.baseNumber !== undefined) throw new Error('malformed');
    const nowMs = clock.wallMs();
    if (Buffer.compare(crl.issuerName, issuer.subjectName) !== 0 || !issuer.mayCrlSign) throw new Error('another-issuer');
    if (!(await verifySignature(crl.algorithm, issuer.publicKey, crl.signed, crl.signature))) throw new Error('bad-signature');
    if (crl.thisUpdateMs > nowMs + skewMs || crl.nextUpdateMs <= nowMs) throw new Error('out-of-time');
    // An older list than the one that is here would bring revoked certificates back.
    if (place.list !== undefined && isOlder(crl, place.list)) throw new Error('older-than-before');
    const { revoked, thisUpdateMs, nextUpdateMs, number, part } = crl;
    place.list = { revoked, thisUpdateMs, nextUpdateMs, number, part };
    place.retryMs = -Infinity;
    // Spread, so that not all nodes come at the same time, and early, so that some attempts may fail.
    const lifeMs = Math.min(settings.maxAgeMs, crl.nextUpdateMs - nowMs);
    place.refreshMs = nowMs + lifeMs * (0.5 + 0.3 * random.float());
  }
}

/** RFC 5280 §6.3.3 (b) (2). `url`: where it was found, which may be a copy that the operator has named. */
function isAbout({ urls, onlyPeers }: CrlPart, url: string, { crlUrls, isAuthority }: CertificateFacts): boolean {
  return !(onlyPeers && isAuthority) && (urls === undefined || urls.includes(url) || urls.some((each) => crlUrls.includes(each)));
}

function isOlder(one: Pick<List, 'number' | 'thisUpdateMs'>, other: List): boolean {
  if (one.number === undefined || other.number === undefined) return one.thisUpdateMs < other.thisUpdateMs;
  const [a, b] = [one.number, other.number].map((number) => number.padStart(40, '0')) as [string, string];
  return a < b;
}

/** Some publish PEM. */
function derOf(body: Buffer): Uint8Array {
  const pem = /^-----BEGIN X509 CRL-----\s([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/.exec(
    body.subarray(0, 20).includes('-----BEGIN') ? body.toString('latin1') : '',
  );
  return pem === null ? body : Buffer.from(pem[1]!, 'base64');
}
