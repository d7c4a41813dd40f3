// The keys by which an issuer signs its tokens (RFC 7517): fetched, kept, fetched again when they are old or a token names a key that is
// not among them. While the issuer cannot be reached the last ones count, for a bounded time.

import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { KeySetLimits } from './key-set-limits.ts';
import { askJson, outboundUrlFault } from './outbound-json.ts';

export type KeySource =
  | { readonly kind: 'url'; readonly url: string }
  /** The issuer tells where its keys are (OpenID Connect Discovery 1.0 §4). */
  | { readonly kind: 'discovery'; readonly issuer: string }
  /** Somebody else reads it: the text of a key set. @throws what is told in the log */
  | { readonly kind: 'file'; readonly read: () => Promise<string> };

const maxKeys = 100;

export class KeySet {
  readonly #source: KeySource;
  readonly #limits: KeySetLimits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #name: string;
  readonly #closing = new AbortController();
  #keys: { readonly find: JWTVerifyGetKey; readonly count: number; readonly atMs: number } | undefined;
  #triedMs = -Infinity;
  #underWay: Promise<void> | undefined;
  #isFailing = false;
  readonly counts = { fetched: 0, failed: 0 };

  /** `name` of the issuer, for the log. */
  constructor(name: string, source: KeySource, limits: KeySetLimits, clock: Clock, log: Log) {
    this.#name = name;
    this.#source = source;
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
  }

  get size(): number {
    return this.#keys?.count ?? 0;
  }

  /** Undefined: never fetched. */
  get ageMs(): number | undefined {
    return this.#keys && this.#clock.monotonicMs() - this.#keys.atMs;
  }

  /** How to find the key of a token. Undefined: there are none that count, and none to be had now. */
  async current(): Promise<JWTVerifyGetKey | undefined> {
    const age = this.ageMs;
    if (age === undefined || age > this.#limits.keepMs) {
      await this.#refresh();
      const now = this.ageMs;
      return now === undefined || now > this.#limits.keepMs ? undefined : this.#keys!.find;
    }
    // Nobody waits for it.
    if (age > this.#limits.refreshMs) void this.#refresh();
    return this.#keys!.find;
  }

  /** For a token whose key was not among `known`. Undefined: there are no newer ones. */
  async newerThan(known: JWTVerifyGetKey): Promise<JWTVerifyGetKey | undefined> {
    if (this.#keys?.find === known) await this.#refresh();
    const find = this.#keys?.find;
    return find === known ? undefined : find;
  }

  close(): void {
    this.#closing.abort();
  }

  /** One at a time, and not too often. Never rejects. */
  #refresh(): Promise<void> {
    if (this.#underWay !== undefined) return this.#underWay;
    const now = this.#clock.monotonicMs();
    if (now - this.#triedMs < this.#limits.pauseMs) return Promise.resolve();
    this.#triedMs = now;
    this.#underWay = this.#fetch().finally(() => (this.#underWay = undefined));
    return this.#underWay;
  }

  async #fetch(): Promise<void> {
    const found = await this.#read().catch((error: unknown) => (error as Error).message);
    if (this.#closing.signal.aborted) return;
    if (typeof found === 'string') {
      this.counts.failed++;
      if (!this.#isFailing) this.#log.warn('security.keys.failed', { issuer: this.#name, why: found, keysAgeMs: this.ageMs ?? -1 });
      this.#isFailing = true;
      return;
    }
    this.counts.fetched++;
    if (this.#isFailing) this.#log.info('security.keys.fetched', { issuer: this.#name, keys: found.length });
    this.#isFailing = false;
    this.#keys = { find: createLocalJWKSet({ keys: found }), count: found.length, atMs: this.#clock.monotonicMs() };
  }

  /** The keys, or why there are none. */
  async #read(): Promise<JWK[] | string> {
    const source = this.#source;
    if (source.kind === 'file') return usableKeys(JSON.parse(await source.read()));
    const url = source.kind === 'url' ? source.url : await this.#discover(source.issuer);
    if (typeof url !== 'string') return url.fault;
    const answer = await this.#ask(url);
    return typeof answer === 'string' ? `the key set: ${answer}` : usableKeys(answer);
  }

  async #discover(issuer: string): Promise<string | { readonly fault: string }> {
    const answer = await this.#ask(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    if (typeof answer === 'string') return { fault: `discovery: ${answer}` };
    const { issuer: told, jwks_uri: url } = answer;
    // OpenID Connect Discovery 1.0 §4.3: exactly the same, or another issuer could vouch for it.
    if (told !== issuer) return { fault: 'discovery: it tells of another issuer' };
    const fault = typeof url === 'string' ? outboundUrlFault(url) : 'is missing';
    return fault === undefined ? (url as string) : { fault: `discovery: jwks_uri ${fault}` };
  }

  async #ask(url: string): Promise<Readonly<Record<string, unknown>> | string> {
    const { timeoutMs, maxBytes } = this.#limits;
    const answer = await askJson({ url, timeoutMs, maxBytes, signal: this.#closing.signal });
    if (!answer.ok) return answer.fault;
    return answer.status === 200 ? answer.value : `status ${answer.status}`;
  }
}

/** Public keys for signatures. Whoever publishes a private or a shared key has lost it: it is not used. */
function usableKeys(set: unknown): JWK[] | string {
  const { keys } = (set ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys)) return 'it has no list `keys`';
  if (keys.length > maxKeys) return `it has more than ${maxKeys} keys`;
  const usable = keys.filter((key: unknown): key is JWK => {
    if (typeof key !== 'object' || key === null) return false;
    const { kty, use, d, k } = key as JWK;
    return ['RSA', 'EC', 'OKP'].includes(kty as string) && (use === undefined || use === 'sig') && d === undefined && k === undefined;
  });
  return usable.length === 0 ? 'it has no public key for signatures' : usable;
}
