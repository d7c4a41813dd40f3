// The security contexts of a node: found in the registry by what requests show, and kept in memory while they are in use.

import type { Clock } from '../../base/clock.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import type { Entry } from '../../registry/entries.ts';
import type { Change, LookUps, NowOrLater, Result } from '../../registry/registry.ts';
import { whenKnown } from '../authentication/now-or-later.ts';
import type { SecretBox } from '../authentication/psk.ts';
import type { OscoreContextName } from '../security.ts';
import { SecurityContext, type ContextSettings } from './context.ts';
import type { ContextInput } from './derivation.ts';
import { kidHandle, openOscore, oscoreFacts, oscoreHandle } from './oscore-credential.ts';
import type { OscoreContext, OscoreContexts, OscoreFault } from './oscore.ts';
import { Rederivations, type Base } from './rederivation.ts';
import type { SequenceStore } from './sequence-store.ts';

export type ContextsSettings = ContextSettings & {
  /** Contexts that are kept ready. */
  readonly maxContexts: number;
  /** Questions a second for what is not in memory; beyond, requests find nothing. Strangers can ask them. */
  readonly lookUpsPerSecond: number;
};

export const defaultContextsSettings: ContextsSettings = {
  maxContexts: 10_000,
  lookUpsPerSecond: 2000,
  stretch: 1024,
  maxWaiting: 1000,
  echoMs: 60_000,
};

export type ContextsServices = {
  readonly lookUps: LookUps;
  readonly box: SecretBox;
  readonly store: SequenceStore;
  readonly clock: Clock;
  readonly random: Random;
  /** A request was refused: for the audit log. */
  readonly refused: (reason: OscoreFault, from: { readonly listener: string; readonly remoteAddress: string }) => void;
};

type Held = {
  readonly key: string;
  readonly handle: string;
  readonly context: SecurityContext;
  /** The credential's: when it changes, the context is another one. */
  readonly secret: string;
  /** Where the device may ask for fresh keys. */
  readonly base: Base | undefined;
  expiresAtMs: number | undefined;
};

type Found = readonly OscoreContext[] | 'unavailable';

export class NodeOscoreContexts implements OscoreContexts, MetricSource {
  readonly #services: ContextsServices;
  readonly #settings: ContextsSettings;
  /** By tenant and credential; least recently used first. */
  readonly #held = new Map<string, Held>();
  readonly #byHandle = new Map<string, Held>();
  /** By fingerprint: somebody may still have one that was put away. There must never be two with the same keys. */
  readonly #putAway = new Map<string, WeakRef<SecurityContext>>();
  readonly #finished = new FinalizationRegistry<string>((fingerprint) => {
    if (this.#putAway.get(fingerprint)?.deref() === undefined) this.#putAway.delete(fingerprint);
  });
  readonly #rederivations: Rederivations;
  #tokens: number;
  #tokensAtMs: number;
  readonly #faults: Record<OscoreFault, number> = { 'unknown-context': 0, replay: 0, 'decryption-failed': 0, malformed: 0 };
  #limited = 0;
  #evicted = 0;

  constructor(settings: ContextsSettings, services: ContextsServices) {
    this.#settings = settings;
    this.#services = services;
    this.#rederivations = new Rederivations(settings, services.clock, services.random);
    this.#tokens = settings.lookUpsPerSecond;
    this.#tokensAtMs = services.clock.monotonicMs();
  }

  find(kid: Uint8Array, kidContext: Uint8Array | undefined, answer: (found: Found) => void): void {
    const kidHex = hexOf(kid);
    const exact = oscoreHandle(kidHex, kidContext && hexOf(kidContext));
    const held = this.#inUse(this.#byHandle.get(exact));
    if (held !== undefined) return answer(this.#withDerived(held));
    const derived = kidContext && this.#rederivations.known(kidHex, kidContext);
    if (derived !== undefined) return answer([derived]);
    if (!this.#take()) return answer('unavailable');
    // RFC 8613 §6.1: where kid alone tells enough, kid context need not be sent, whatever the id context is.
    if (kidContext === undefined) return this.#ask(kidHandle(kidHex), (found) => answer(this.#contextsOf(found)));
    this.#ask(exact, (found) => {
      if (found === 'unavailable' || found.length > 0) return answer(this.#contextsOf(found));
      this.#ask(kidHandle(kidHex), (others) => answer(this.#askingContexts(others, kidContext)));
    });
  }

  #contextsOf(found: readonly Held[] | 'unavailable'): Found {
    return found === 'unavailable' ? found : found.flatMap((held) => this.#withDerived(held));
  }

  /** Who has derived fresh keys uses them; kid context need not be sent then either. */
  #withDerived({ key, context }: Held): readonly OscoreContext[] {
    const derived = this.#rederivations.current(key);
    return derived === undefined ? [context] : [derived, context];
  }

  #askingContexts(found: readonly Held[] | 'unavailable', kidContext: Uint8Array): Found {
    if (found === 'unavailable') return found;
    return found.flatMap(({ key, base }) => (base && this.#rederivations.find(key, base, kidContext)) ?? []);
  }

  named({ tenant, contextId }: OscoreContextName, answer: (found: OscoreContext | undefined) => void): void {
    const held = this.#inUse(this.#held.get(keyOf(tenant, contextId)));
    if (held !== undefined) return answer(this.#withDerived(held)[0]);
    const asked = this.#services.lookUps.get('credential', tenant, contextId);
    const listed = whenKnown(asked, (found) =>
      found.ok ? { ok: true as const, value: found.value === undefined ? [] : [found.value] } : found,
    );
    this.#whenFound(listed, (found) => {
      const [first] = found === 'unavailable' ? [] : found;
      answer(first && this.#withDerived(first)[0]);
    });
  }

  refused(fault: OscoreFault, from: { readonly listener: string; readonly remoteAddress: string }): void {
    this.#faults[fault]++;
    this.#services.refused(fault, from);
  }

  #ask(handle: string, answer: (found: readonly Held[] | 'unavailable') => void): void {
    this.#whenFound(this.#services.lookUps.credentialsByHandle(handle), answer);
  }

  #whenFound(asked: NowOrLater<Result<readonly Entry<'credential'>[]>>, answer: (found: readonly Held[] | 'unavailable') => void): void {
    const loaded = (found: Result<readonly Entry<'credential'>[]>): readonly Held[] | 'unavailable' => {
      if (!found.ok) return 'unavailable';
      return found.value.flatMap((entry) => this.#load(entry) ?? []);
    };
    if (!(asked instanceof Promise)) return answer(loaded(asked));
    asked.then(
      (found) => answer(loaded(found)),
      () => answer('unavailable'),
    );
  }

  #load(entry: Entry<'credential'>): Held | undefined {
    const { tenant, id, secret, handle, expiresAtMs, owner } = entry;
    if (entry.type !== 'oscore' || handle === undefined) return undefined;
    const key = keyOf(tenant, id);
    const known = this.#inUse(this.#held.get(key));
    if (known !== undefined && known.secret === secret) return known;
    if (expiresAtMs !== undefined && expiresAtMs <= this.#services.clock.wallMs()) return undefined;
    const input = openOscore(entry, this.#services.box);
    if (input === undefined) return undefined;
    const { windowSize, rederivation } = oscoreFacts(entry)!;
    const name = { tenant, principal: owner.id, contextId: id };
    const context = this.#theOnly(name, input, windowSize);
    if (context === undefined) return undefined;
    const base = rederivation ? { name, input, windowSize } : undefined;
    const held = { key, handle, context, secret, base, expiresAtMs };
    this.#hold(held);
    return held;
  }

  /** The one object with these keys; undefined: they are in use under another name, which the registry's rules exclude. */
  #theOnly(name: OscoreContextName, input: ContextInput, windowSize: number): SecurityContext | undefined {
    const made = new SecurityContext(name, input, windowSize, this.#settings, this.#services);
    const { fingerprint } = made;
    const before = this.#putAway.get(fingerprint)?.deref();
    if (before !== undefined && !before.isRetired)
      return keyOf(before.name.tenant, before.name.contextId) === keyOf(name.tenant, name.contextId) ? before : undefined;
    this.#putAway.set(fingerprint, new WeakRef(made));
    this.#finished.register(made, fingerprint);
    return made;
  }

  #hold(held: Held): void {
    if (this.#held.size >= this.#settings.maxContexts) {
      const [oldest] = this.#held.values();
      this.#evicted++;
      this.#drop(oldest!);
      // A write that fails leaves what was written before, which is safe: numbers are skipped, and the device is asked for an Echo.
      oldest!.context.putAway().catch(() => {});
    }
    this.#held.set(held.key, held);
    this.#byHandle.set(held.handle, held);
  }

  #drop(held: Held): void {
    this.#held.delete(held.key);
    if (this.#byHandle.get(held.handle) === held) this.#byHandle.delete(held.handle);
  }

  #inUse(held: Held | undefined): Held | undefined {
    if (held === undefined) return undefined;
    if (held.expiresAtMs !== undefined && held.expiresAtMs <= this.#services.clock.wallMs()) {
      this.#retire(held);
      return undefined;
    }
    this.#held.delete(held.key);
    this.#held.set(held.key, held);
    return held;
  }

  #retire(held: Held): void {
    this.#drop(held);
    this.#rederivations.forget(held.key);
    held.context.retire().catch(() => {});
  }

  #take(): boolean {
    const nowMs = this.#services.clock.monotonicMs();
    const { lookUpsPerSecond } = this.#settings;
    this.#tokens = Math.min(lookUpsPerSecond, this.#tokens + ((nowMs - this.#tokensAtMs) / 1000) * lookUpsPerSecond);
    this.#tokensAtMs = nowMs;
    if (this.#tokens < 1) {
      this.#limited++;
      return false;
    }
    this.#tokens--;
    return true;
  }

  /** The registry's change feed: what is gone, or another one now, opens and seals nothing any more. */
  changed(changes: readonly Change[]): void {
    for (const { kind, tenant, id } of changes) {
      if (kind !== undefined && kind !== 'credential') continue;
      for (const held of kind === 'credential' && tenant !== undefined && id !== undefined
        ? this.#one(tenant, id)
        : [...this.#held.values()]) {
        this.#review(held);
      }
    }
  }

  #one(tenant: string, id: string): readonly Held[] {
    const held = this.#held.get(keyOf(tenant, id));
    return held === undefined ? [] : [held];
  }

  #review(held: Held): void {
    const { tenant, contextId } = held.context.name;
    const asked = this.#services.lookUps.get('credential', tenant, contextId);
    const judge = (found: Awaited<typeof asked>): void => {
      if (this.#held.get(held.key) !== held) return;
      const entry = found.ok ? found.value : undefined;
      if (!found.ok || entry === undefined || entry.secret !== held.secret) this.#retire(held);
      else held.expiresAtMs = entry.expiresAtMs;
    };
    if (!(asked instanceof Promise)) return judge(asked);
    void asked.then(judge, () => {
      if (this.#held.get(held.key) === held) this.#retire(held);
    });
  }

  /** Writes down where all of them stand. The store stays open. */
  async close(): Promise<void> {
    const all = [...this.#held.values()];
    for (const held of all) this.#drop(held);
    await Promise.allSettled(all.map(({ context }) => context.retire()));
  }

  *metrics(): Iterable<Sample> {
    const one = (name: string, type: 'counter' | 'gauge', help: string, value: number, labels: Record<string, string> = {}): Sample => ({
      name: `heliograph_oscore_${name}`,
      help,
      type,
      labels,
      value,
    });
    yield one('contexts', 'gauge', 'OSCORE contexts in memory.', this.#held.size);
    yield one('evicted_contexts_total', 'counter', 'OSCORE contexts put away because there were too many.', this.#evicted);
    yield one(
      'limited_lookups_total',
      'counter',
      'Requests whose OSCORE context was not looked for: too many came at once.',
      this.#limited,
    );
    for (const [reason, count] of Object.entries(this.#faults)) {
      yield one('refused_total', 'counter', 'Requests under OSCORE that were not accepted, by why.', count, { reason });
    }
  }
}

function keyOf(tenant: string, id: string): string {
  return `${tenant}/${id}`;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
