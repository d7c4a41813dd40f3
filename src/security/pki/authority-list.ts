// The authorities as the registry knows them, kept in memory because every handshake and every certificate needs them. What another
// node or a command changes is read again.

import { X509Certificate } from 'node:crypto';
import type { Log } from '../../base/log.ts';
import { systemScope, type Entry } from '../../registry/entries.ts';
import type { Change, Registry, Result } from '../../registry/registry.ts';
import { certificateFacts, type CertificateFacts } from './certificate-facts.ts';

export type KnownAuthority = {
  readonly entry: Entry<'authority'>;
  readonly facts: CertificateFacts;
  readonly isOwn: boolean;
};

/** Each of them is loaded into every TLS context. Tenants may note one each without proving anything, so own ones do not count. */
const maxForeign = 2000;
const pageSize = 500;

export class AuthorityList {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #listeners = new Set<() => void>();
  #all: readonly KnownAuthority[] = [];
  #byId = new Map<string, KnownAuthority>();
  #stop: (() => void) | undefined;
  #reading: Promise<void> = Promise.resolve();
  #isStale = false;

  constructor(registry: Registry, log: Log) {
    this.#registry = registry;
    this.#log = log;
  }

  /** Reads them, and follows what changes. */
  async open(): Promise<Result<void>> {
    this.#stop = this.#registry.subscribe((changes) => {
      if (changes.some(concernsAuthorities)) this.#isStale = true;
      if (this.#isStale) void this.refresh();
    });
    return this.#read();
  }

  /** Waits for a reading that is under way. */
  async close(): Promise<void> {
    this.#stop?.();
    this.#listeners.clear();
    await this.#reading;
  }

  get all(): readonly KnownAuthority[] {
    return this.#all;
  }

  get(id: string): KnownAuthority | undefined {
    return this.#byId.get(id);
  }

  /** Own ones that are active, newest first. */
  active(role: 'root' | 'issuing'): readonly KnownAuthority[] {
    return this.#all
      .filter(({ entry, isOwn }) => isOwn && entry.role === role && entry.status === 'active')
      .toSorted((a, b) => b.entry.version - a.entry.version);
  }

  /** The authority that signed it and those above, nearest first. */
  above(id: string): readonly KnownAuthority[] {
    const found: KnownAuthority[] = [];
    for (let at = this.get(id)?.entry.issuer; at !== undefined && found.length < 8; at = found.at(-1)?.entry.issuer) {
      const next = this.get(at);
      if (next === undefined) break;
      found.push(next);
    }
    return found;
  }

  /** It is trusted, and so is every own one above it. */
  isTrusted(id: string): boolean {
    const line = [this.get(id), ...this.above(id)];
    return line.every((one) => one !== undefined && (one.entry.status === 'active' || one.entry.status === 'retiring'));
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads again; one reading follows the other. */
  refresh(): Promise<void> {
    this.#isStale = false;
    this.#reading = this.#reading.then(async () => {
      const read = await this.#read();
      if (!read.ok) this.#log.warn('pki.authorities.not.read', { error: read.error.message });
    });
    return this.#reading;
  }

  async #read(): Promise<Result<void>> {
    const entries: Entry<'authority'>[] = [];
    let after: string | undefined;
    let foreign = 0;
    do {
      const page = await this.#registry.authorities({ limit: pageSize, after });
      if (!page.ok) return page;
      entries.push(...page.value.entries.filter((entry) => isOwn(entry) || foreign++ < maxForeign));
      after = page.value.next;
    } while (after !== undefined);
    if (foreign > maxForeign) this.#log.error('pki.authorities.too.many', { limit: maxForeign });
    this.#take(entries);
    return { ok: true, value: undefined };
  }

  #take(entries: readonly Entry<'authority'>[]): void {
    const next: KnownAuthority[] = [];
    for (const entry of entries) {
      const facts = factsOf(entry.certificate);
      // The registry checks the form alone; whoever wrote there another key would be trusted under this one's name.
      if (facts === undefined || facts.keyId !== entry.id) this.#log.error('pki.authority.damaged', { id: entry.id });
      else next.push({ entry, facts, isOwn: isOwn(entry) });
    }
    const isSame = next.length === this.#all.length && next.every(({ entry }, i) => entry.version === this.#all[i]!.entry.version);
    this.#all = next;
    this.#byId = new Map(next.map((one) => [one.entry.id, one]));
    if (!isSame) for (const listener of this.#listeners) listener();
  }
}

function isOwn({ tenant, role }: Entry<'authority'>): boolean {
  return tenant === systemScope && role !== 'foreign';
}

function concernsAuthorities({ kind }: Change): boolean {
  return kind === undefined || kind === 'authority';
}

export function factsOf(pem: string): CertificateFacts | undefined {
  try {
    return certificateFacts(new X509Certificate(pem).raw);
  } catch {
    return undefined;
  }
}
