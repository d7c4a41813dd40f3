// Look-ups answered from memory, for a registry that has to ask a server. The embedded one needs none: it answers as fast from its
// own pages, and always with what is in the file now.
//
// What changes is dropped as soon as the registry tells of it. Nothing is believed longer than `maxAgeMs`, in case it cannot tell.

import type { Clock } from '../base/clock.ts';
import type { MetricSource, Sample } from '../base/metrics.ts';
import type { Entry, Kind, Owner } from './entries.ts';
import { isOwnerKind } from './entries.ts';
import { value, type Change, type LookUps, type NamedPrincipal, type NowOrLater, type Registry, type Result } from './registry.ts';

export type LookUpCacheOptions = {
  /** Answers that are remembered, also those that there is nothing: about 500 bytes each. */
  readonly entries: number;
  readonly maxAgeMs: number;
};

type Answer = { readonly found: unknown; readonly atMs: number };

/** What can be asked, each dropped for its own reason. */
type Question = Kind | 'principal' | 'credentials' | 'handle' | 'fingerprint';

export class LookUpCache implements LookUps, MetricSource {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #options: LookUpCacheOptions;
  readonly #unsubscribe: () => void;
  /** Two generations: what is not asked for while one fills up is forgotten with the next. */
  #young = new Map<string, Answer>();
  #old = new Map<string, Answer>();
  /** Questions under way: who asks the same waits for the same answer. One that is dropped meanwhile is not remembered. */
  readonly #asked = new Map<string, Promise<Result<unknown>>>();
  #hits = 0;
  #misses = 0;

  constructor(registry: Registry, clock: Clock, options: LookUpCacheOptions) {
    this.#registry = registry;
    this.#clock = clock;
    this.#options = options;
    this.#unsubscribe = registry.subscribe((changes) => this.#drop(changes));
  }

  get<K extends Kind>(kind: K, tenant: string, id: string): NowOrLater<Result<Entry<K> | undefined>> {
    return this.#ask(key(kind, tenant, id), () => this.#registry.get(kind, tenant, id));
  }

  principal(tenant: string, id: string): NowOrLater<Result<NamedPrincipal | undefined>> {
    return this.#ask(key('principal', tenant, id), () => this.#registry.principal(tenant, id));
  }

  certificate(fingerprint: string): NowOrLater<Result<Entry<'certificate'> | undefined>> {
    return this.#ask(key('fingerprint', anyTenant, fingerprint), () => this.#registry.certificate(fingerprint));
  }

  credentials(tenant: string, owner: Owner): NowOrLater<Result<readonly Entry<'credential'>[]>> {
    return this.#ask(key('credentials', tenant, `${owner.kind}/${owner.id}`), () => this.#registry.credentials(tenant, owner));
  }

  credentialsByHandle(handle: string): NowOrLater<Result<readonly Entry<'credential'>[]>> {
    return this.#ask(key('handle', anyTenant, handle), () => this.#registry.credentialsByHandle(handle));
  }

  /** The registry stays open. */
  close(): void {
    this.#unsubscribe();
    this.#clear();
  }

  *metrics(): Iterable<Sample> {
    const one = (name: string, type: 'counter' | 'gauge', help: string, count: number): Sample => ({
      name: `heliograph_registry_cache_${name}`,
      help,
      type,
      value: count,
    });
    yield one('hits_total', 'counter', 'Look-ups in the registry that were answered from memory.', this.#hits);
    yield one('misses_total', 'counter', 'Look-ups that had to ask the registry.', this.#misses);
    yield one('entries', 'gauge', 'Answers of the registry that are remembered.', this.#young.size + this.#old.size);
  }

  #ask<T>(name: string, ask: () => NowOrLater<Result<T>>): NowOrLater<Result<T>> {
    const known = this.#recall(name);
    if (known !== undefined) {
      this.#hits++;
      return value(known.found as T);
    }
    const underWay = this.#asked.get(name);
    if (underWay !== undefined) return underWay as Promise<Result<T>>;
    this.#misses++;
    const answer = ask();
    if (!(answer instanceof Promise)) {
      this.#remember(name, answer);
      return answer;
    }
    const asked = answer.then((result) => {
      if (this.#asked.get(name) !== asked) return result;
      this.#asked.delete(name);
      this.#remember(name, result);
      return result;
    });
    this.#asked.set(name, asked);
    return asked;
  }

  #recall(name: string): Answer | undefined {
    const known = this.#young.get(name) ?? this.#old.get(name);
    if (known === undefined) return undefined;
    if (this.#clock.monotonicMs() - known.atMs > this.#options.maxAgeMs) {
      this.#forget(name);
      return undefined;
    }
    if (!this.#young.has(name)) this.#put(name, known);
    return known;
  }

  #remember(name: string, result: Result<unknown>): void {
    if (result.ok) this.#put(name, { found: result.value, atMs: this.#clock.monotonicMs() });
  }

  #put(name: string, answer: Answer): void {
    if (this.#young.size >= this.#options.entries / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, answer);
  }

  #drop(changes: readonly Change[]): void {
    for (const { kind, tenant, id } of changes) {
      if (kind === undefined || tenant === undefined) {
        this.#clear();
      } else if (id === undefined) {
        this.#forgetAll(kind, tenant);
        if (kind === 'certificate') this.#forgetAll('fingerprint', anyTenant);
        if (isOwnerKind(kind)) this.#forgetAll('principal', tenant);
      } else {
        this.#forget(key(kind, tenant, id));
        if (kind === 'certificate') this.#forget(key('fingerprint', anyTenant, id));
        if (isOwnerKind(kind)) this.#forget(key('principal', tenant, id));
      }
      if (kind !== 'credential' || tenant === undefined) continue;
      // A change of a credential does not say whose it is, nor what its handle was.
      this.#forgetAll('credentials', tenant);
      this.#forgetAll('handle', anyTenant);
    }
  }

  #forget(name: string): void {
    this.#young.delete(name);
    this.#old.delete(name);
    this.#asked.delete(name);
  }

  #forgetAll(question: Question, tenant: string): void {
    const start = key(question, tenant, '');
    for (const names of [this.#young, this.#old, this.#asked]) {
      for (const name of names.keys()) if (name.startsWith(start)) names.delete(name);
    }
  }

  #clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#asked.clear();
  }
}

/** In the place of the tenant, which is what is being asked for. */
const anyTenant = '';

/** No name of a tenant that has entries holds a slash. */
function key(question: Question, tenant: string, id: string): string {
  return `${question}/${tenant}/${id}`;
}
