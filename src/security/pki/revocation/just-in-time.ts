// Devices that nobody has added, and that show a certificate of an authority which is registered for it, are added when they first
// connect. Whoever can make that authority sign can add devices, so how fast they come is bounded.

import type { Clock } from '../../../base/clock.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import type { Entry } from '../../../registry/entries.ts';
import type { Registry, RegistryErrorCode, Write } from '../../../registry/registry.ts';
import type { Audit } from '../../audit/audit.ts';
import type { PeerCertificate } from '../../security.ts';
import type { CertificateFacts } from '../certificate-facts.ts';

export type JustInTimeServices = {
  readonly registry: Pick<Registry, 'get' | 'apply'>;
  readonly clock: Clock;
  readonly audit: Audit;
  /** What the handshake has found out about a certificate. */
  readonly detailsOf: (fingerprint: string) => { readonly facts: CertificateFacts; readonly issuer: string } | undefined;
};

/**
 * added: it is in the registry now. there: it was. refused: there is no such authority, or it is not registered for it, or it is
 * another tenant's. later: too many at a time, or the registry does not answer.
 */
export type Registration = 'added' | 'there' | 'refused' | 'later';

export class JustInTime implements MetricSource {
  readonly #services: JustInTimeServices;
  readonly #perMinute: number;
  /** Under way, by device: it may connect twice at once. */
  readonly #running = new Map<string, Promise<Registration>>();
  readonly #counts: Record<Registration, number> = { added: 0, there: 0, refused: 0, later: 0 };
  #tokens: number;
  #atMs: number;

  constructor(services: JustInTimeServices, { perMinute }: { readonly perMinute: number }) {
    this.#services = services;
    this.#perMinute = perMinute;
    this.#tokens = perMinute;
    this.#atMs = services.clock.monotonicMs();
  }

  /** `certificate`: as the handshake has verified it. Never rejects. */
  register(identity: { readonly tenant: string; readonly id: string }, certificate: PeerCertificate, from: string): Promise<Registration> {
    const key = `${identity.tenant}/${identity.id} ${certificate.fingerprint}`;
    let running = this.#running.get(key);
    if (running === undefined) {
      running = this.#register(identity, certificate, from).finally(() => this.#running.delete(key));
      this.#running.set(key, running);
    }
    return running;
  }

  *metrics(): Iterable<Sample> {
    for (const [result, value] of Object.entries(this.#counts)) {
      const help = 'Devices with a certificate of another authority that asked to be added at their first connect, by result.';
      yield { name: 'heliograph_pki_just_in_time_total', help, type: 'counter', labels: { result }, value };
    }
  }

  async #register(
    { tenant, id }: { readonly tenant: string; readonly id: string },
    { fingerprint, commonName, issuers = [] }: PeerCertificate,
    from: string,
  ): Promise<Registration> {
    const found = await this.#authority(tenant, issuers);
    if (found === 'unavailable') return this.#count('later');
    if (found === undefined) return this.#count('refused');
    if (!this.#allows()) return this.#count('later');
    const details = this.#services.detailsOf(fingerprint);
    if (details === undefined) return this.#count('later');
    const { serial, notBeforeMs, notAfterMs } = details.facts;
    const { groups, roles } = found;
    const owner = { kind: 'device', id } as const;
    const writes: readonly Write[] = [
      { do: 'create', kind: 'device', tenant, id, fields: { groups, roles } },
      {
        do: 'create',
        kind: 'certificate',
        tenant,
        id: fingerprint,
        fields: { serial, issuer: details.issuer, subject: commonName ?? id, notBeforeMs, notAfterMs, owner },
      },
    ];
    const result = await this.#services.registry.apply(writes, { atomic: true });
    if (!result.ok && result.error.code === 'exists') {
      const there = await this.#services.registry.get('device', tenant, id);
      if (!there.ok) return this.#count('later');
      if (there.value !== undefined) return this.#count('there');
      // The name is somebody's who is no device; or the authority has given the serial number twice, and what is not added could be
      // neither revoked nor disabled.
    }
    const code: RegistryErrorCode | undefined = result.ok ? undefined : result.error.code;
    this.#services.audit.record({
      actor: { kind: 'principal', tenant, id, method: 'certificate' },
      action: 'device.register',
      target: `device/${tenant}/${id}`,
      from,
      outcome: result.ok ? 'done' : 'failed',
      details: { authority: found.id, fingerprint, ...(code !== undefined && { reason: code }) },
    });
    if (result.ok) return this.#count('added');
    return this.#count(code === 'unavailable' || code === 'full' ? 'later' : 'refused');
  }

  /** The nearest one of this tenant that is registered for it. */
  async #authority(tenant: string, issuers: readonly string[]): Promise<Entry<'authority'> | 'unavailable' | undefined> {
    for (const issuer of issuers) {
      const found = await this.#services.registry.get('authority', tenant, issuer);
      if (!found.ok) return 'unavailable';
      const entry = found.value;
      if (entry === undefined || entry.role !== 'foreign') continue;
      const isOpen = entry.registration === 'just-in-time' && (entry.status === 'active' || entry.status === 'retiring');
      return isOpen ? entry : undefined;
    }
    return undefined;
  }

  #allows(): boolean {
    const nowMs = this.#services.clock.monotonicMs();
    this.#tokens = Math.min(this.#perMinute, this.#tokens + ((nowMs - this.#atMs) * this.#perMinute) / 60_000);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #count(result: Registration): Registration {
    this.#counts[result]++;
    return result;
  }
}
