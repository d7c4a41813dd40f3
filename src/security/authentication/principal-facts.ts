// What the registry knows of whoever has proved an identity: of what kind it is, what it may be granted by, and whether it may
// come in at all. A principal that the registry does not know is nobody's business here, unless an authority of somebody else
// names it.

import type { Clock } from '../../base/clock.ts';
import type { AuthorityRole, AuthorityStatus, Entry } from '../../registry/entries.ts';
import { systemScope } from '../../registry/entries.ts';
import type { LookUps, NowOrLater, Result } from '../../registry/registry.ts';
import type { PeerCertificate, Principal } from '../security.ts';
import type { Identity } from './authenticator.ts';
import { knownPrincipal, type KnownPrincipal } from './known-principal.ts';
import { managementRoles } from './login-audit.ts';
import { allKnown, whenKnown } from './now-or-later.ts';

export type KnownAuthority = {
  readonly tenant: string;
  readonly role: AuthorityRole;
  readonly status: AuthorityStatus;
  /** Of a foreign one: what happens to devices that nobody has added. */
  readonly registration?: 'none' | 'just-in-time';
};

/** By id, over all tenants; undefined: it is none of the registry's, but the operator's own (tls.clientCaFile). */
export type FindAuthority = (id: string) => KnownAuthority | undefined;

/**
 * Adds a device that nobody has added and that an authority of somebody else has certified. `from`: its address. added, there: it
 * is in the registry now. later: it cannot be added now.
 */
export type Join = (identity: Identity, certificate: PeerCertificate, from: string) => Promise<'added' | 'there' | 'refused' | 'later'>;

export type Facts =
  | { readonly standing: 'good'; readonly principal: Omit<Principal, 'access'>; readonly expiresAtMs: number | undefined }
  /** `reason`: as in Verdict. */
  | { readonly standing: 'barred'; readonly reason: string }
  /** It cannot be found out now, so nobody comes in. */
  | { readonly standing: 'unknown' };

type Asked = [Result<Entry<'tenant'> | undefined>, Result<KnownPrincipal | undefined>, Result<Entry<'certificate'> | undefined>];

/** A device that has been given no role has this one; with a certificate, what `certificates.roles` says comes on top. */
const deviceRole = 'device';
const nothing = { ok: true, value: undefined } as const;
const unknown: Facts = { standing: 'unknown' };

function barred(reason: string): Facts {
  return { standing: 'barred', reason };
}

export class PrincipalFacts {
  readonly #lookUps: LookUps | undefined;
  readonly #clock: Clock;
  readonly #authorityOf: FindAuthority;
  readonly #join: Join | undefined;

  /** `lookUps` undefined: nothing is known of anybody. */
  constructor(lookUps: LookUps | undefined, clock: Clock, authorityOf: FindAuthority = () => undefined, join?: Join) {
    this.#lookUps = lookUps;
    this.#clock = clock;
    this.#authorityOf = authorityOf;
    this.#join = join;
  }

  /**
   * `certificate`: what the peer has shown, if it has, even if it came in by something else. `from`: its address, when it comes in
   * now; who is in already is not added.
   */
  of(identity: Identity, certificate: PeerCertificate | undefined, byCertificate: boolean, from?: string): NowOrLater<Facts> {
    const lookUps = this.#lookUps;
    const { tenant, id, kind } = identity;
    const asked: readonly [NowOrLater<Asked[0]>, NowOrLater<Asked[1]>, NowOrLater<Asked[2]>] =
      lookUps === undefined
        ? [nothing, nothing, nothing]
        : [
            lookUps.get('tenant', systemScope, tenant),
            kind === 'anonymous' ? nothing : knownPrincipal(lookUps, tenant, id),
            certificate === undefined ? nothing : lookUps.certificate(certificate.fingerprint),
          ];
    const proof = byCertificate ? certificate : undefined;
    return whenKnown(allKnown<Asked>(asked), (answers) => {
      const found = this.#judge(identity, answers, proof);
      const known = answers[1];
      if (found.standing !== 'good' || proof === undefined || from === undefined || !known.ok || known.value !== undefined) return found;
      return this.#joined(identity, proof, from, found);
    });
  }

  #joined(identity: Identity, proof: PeerCertificate, from: string, found: Facts): NowOrLater<Facts> {
    const isForeign = proof.issuers?.some((id) => this.#authorityOf(id)?.role === 'foreign') === true;
    if (this.#join === undefined || !isForeign) return found;
    return this.#join(identity, proof, from).then((result) => {
      if (result === 'refused') return barred('not-registered');
      return result === 'later' ? unknown : this.of(identity, proof, true);
    });
  }

  #judge(identity: Identity, [tenant, known, shown]: Asked, proof: PeerCertificate | undefined): Facts {
    if (!tenant.ok || !known.ok || !shown.ok) return unknown;
    if (tenant.value !== undefined && tenant.value.status !== 'active') return barred('tenant-disabled');
    if (known.value !== undefined && known.value.status !== 'active') return barred('principal-disabled');
    const entry = shown.value;
    // Also when a password is shown with it: who holds a revoked certificate is not who it was given to.
    if (entry !== undefined && entry.status !== 'valid') return barred('certificate-revoked');
    // Of one that the registry does not know, it tells itself.
    const endMs = proof && (entry?.notAfterMs ?? proof.notAfterMs);
    if (endMs !== undefined && endMs < this.#clock.wallMs()) return barred('certificate-expired');
    const fault = proof && (this.#ownerFault(identity, entry, known.value) ?? this.#authorityFault(identity, proof, known.value, entry));
    if (fault !== undefined) return barred(fault);
    return {
      standing: 'good',
      principal: principalOf(identity, known.value, proof !== undefined),
      expiresAtMs: endMs,
    };
  }

  /** What the certificate's entry says against who it claims to be. */
  #ownerFault({ tenant, id }: Identity, entry: Entry<'certificate'> | undefined, known: KnownPrincipal | undefined): string | undefined {
    if (entry === undefined) return undefined;
    const { owner } = entry;
    if (owner === undefined) return 'certificate-of-no-principal';
    if (entry.tenant !== tenant || owner.id !== id) return 'certificate-of-another';
    if (known === undefined) return 'owner-removed';
    return known.kind === owner.kind ? undefined : 'certificate-of-another';
  }

  #authorityFault(
    { tenant }: Identity,
    { issuers = [] }: PeerCertificate,
    known: KnownPrincipal | undefined,
    entry: Entry<'certificate'> | undefined,
  ): string | undefined {
    for (const id of issuers) {
      const authority = this.#authorityOf(id);
      if (authority === undefined) continue;
      if (authority.status !== 'active' && authority.status !== 'retiring') return 'authority-not-trusted';
      if (authority.role !== 'foreign') continue;
      // An authority that a tenant has brought along may not name others' principals.
      if (authority.tenant !== systemScope && authority.tenant !== tenant) return 'foreign-tenant';
      if (known === undefined && authority.registration === 'none') return 'not-registered';
      // It certifies devices. Or else whoever has its key could be any person here, the administrator too: of those it certifies
      // only whom somebody has given that very certificate.
      if (known === undefined || entry !== undefined) continue;
      if (known.kind !== 'device') return 'not-a-device';
      if (known.roles.some((role) => managementRoles.includes(role))) return 'manages';
    }
    return undefined;
  }
}

function principalOf(identity: Identity, known: KnownPrincipal | undefined, byCertificate: boolean): Omit<Principal, 'access'> {
  const { tenant, id } = identity;
  const kind = known?.kind ?? identity.kind ?? 'application';
  // What certificates grant by themselves is meant for devices.
  const given = byCertificate && kind !== 'device' ? [] : (identity.roles ?? []);
  const registered = known?.roles ?? [];
  const own = kind === 'device' && known !== undefined && registered.length === 0 && given.length === 0 ? [deviceRole] : registered;
  const groups = union(known?.groups ?? [], identity.groups ?? []);
  const labels = { ...identity.labels, ...known?.labels };
  return {
    tenant,
    id,
    kind,
    roles: union(given, own),
    ...(groups.length > 0 && { groups }),
    ...(Object.keys(labels).length > 0 && { labels }),
  };
}

function union(one: readonly string[], other: readonly string[]): readonly string[] {
  return other.length === 0 ? one : one.length === 0 ? other : [...new Set([...one, ...other])];
}
