// Issuing in three passes: shape (certificate-request.ts), check (request-check.ts, and the registry: does the owner exist), enforce
// (here: the certificate is made from the profile and the owner). It is in the registry before anybody else sees it, so that there
// is none that could not be revoked.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { systemScope, type Owner } from '../../registry/entries.ts';
import type { Registry, RegistryError } from '../../registry/registry.ts';
import type { Actor, Audit } from '../audit/audit.ts';
import { principalUri } from '../peer-certificate.ts';
import type { AuthorityKeys } from './authority-keys.ts';
import type { AuthorityList, KnownAuthority } from './authority-list.ts';
import * as build from './certificate-builder.ts';
import { authorityIdOf, type CertificateFacts } from './certificate-facts.ts';
import { readCertificateRequest, type RequestedKey } from './certificate-request.ts';
import { pemOf } from './encrypted-key.ts';
import type { IssuedCertificate, IssueFault, IssueRequest, IssueWithKeyRequest, KeyAlgorithm, PkiResult, Signer } from './pki.ts';
import { extendedUsageOf, usagesOf, type ProfileName, type ProfileSettings } from './profiles.ts';
import { requestFault } from './request-check.ts';
import { issuerHashes } from './revocation/ocsp-format.ts';
import { publishedUrls } from './revocation/own-authorities.ts';
import { newPrivateKey, plainPem, publicKeyOf } from './software-signer.ts';

const dayMs = 86_400_000;
/** Devices' clocks run late; a certificate that starts an hour ago is good for them at once. */
export const backdateMs = 3_600_000;
/** Less is left of the issuer: what it issues would be of no use. */
const leastValidityMs = 60_000;
/** ub-common-name and ub-organization-name of RFC 5280, appendix A. */
const maxNameLength = 64;

/** What the configuration says; asked at each request, because some of it changes while running. */
export type IssueSettings = {
  readonly maxRequestBytes: number;
  readonly publicUrl?: string | undefined;
  readonly profiles: { readonly device: ProfileSettings; readonly application: ProfileSettings; readonly user: ProfileSettings };
};

export type IssuanceServices = {
  readonly clock: Clock;
  /** The secure source. */
  readonly random: Random;
  readonly registry: Registry;
  readonly audit: Audit;
  readonly list: AuthorityList;
  readonly keys: AuthorityKeys;
  readonly settings: () => IssueSettings;
};

type Issuer = { readonly authority: KnownAuthority; readonly signer: Signer };

type Content = {
  readonly profile: ProfileName;
  readonly tenant: string;
  readonly owner: Owner | undefined;
  readonly subject: { readonly O?: string | undefined; readonly CN?: string | undefined };
  readonly names: readonly build.AlternativeName[];
  readonly publicKey: Uint8Array;
  readonly keyType: RequestedKey;
  readonly validityMs: number;
};

function refused(code: IssueFault['code'], message: string, field?: string): { readonly ok: false; readonly error: IssueFault } {
  return { ok: false, error: { code, message, ...(field !== undefined && { field }) } };
}

export class Issuance {
  readonly #services: IssuanceServices;
  #issued = 0;
  #refused = 0;

  constructor(services: IssuanceServices) {
    this.#services = services;
  }

  /** Certificates since the start, and requests that were refused. */
  get counts(): { readonly issued: number; readonly refused: number } {
    return { issued: this.#issued, refused: this.#refused };
  }

  async issue(request: IssueRequest): Promise<PkiResult<IssuedCertificate>> {
    return this.#told(request, await this.#issueFor(request));
  }

  async issueWithKey(request: IssueWithKeyRequest): Promise<PkiResult<IssuedCertificate & { readonly privateKey: string }>> {
    const standing = await this.#ownerFault(request.tenant, request.owner);
    if (standing !== undefined) return this.#told(request, { ok: false, error: standing });
    const keyType = request.algorithm ?? 'ecdsa-p256';
    const key = await newPrivateKey(keyType);
    const made = await this.#forOwner(request, publicKeyOf(key), keyType);
    return this.#told(request, made.ok ? { ok: true, value: { ...made.value, privateKey: plainPem(key) } } : made);
  }

  /** For a TLS server of this node, reached by `names`: host names (also `*.example.com`) and addresses. */
  async issueServer(publicKey: Uint8Array, names: readonly string[], days: number): Promise<PkiResult<IssuedCertificate>> {
    const first = names[0] ?? 'heliograph';
    const made = await this.#make({
      profile: 'server',
      tenant: systemScope,
      owner: undefined,
      subject: { CN: first.length <= maxNameLength ? first : 'heliograph' },
      names: names.map((name) => (isIP(name) === 0 ? { dns: name } : { ip: name })),
      publicKey,
      keyType: 'ecdsa-p256',
      validityMs: days * dayMs,
    });
    return this.#told({ actor: { kind: 'node' }, from: '', tenant: systemScope, owner: undefined }, made);
  }

  /** For the key that signs the audit log. */
  async issueAudit(publicKey: Uint8Array, keyType: KeyAlgorithm, name: string, days: number): Promise<PkiResult<IssuedCertificate>> {
    const made = await this.#make({
      profile: 'audit',
      tenant: systemScope,
      owner: undefined,
      subject: { O: 'Heliograph', CN: `Heliograph Audit ${name}`.slice(0, maxNameLength) },
      names: [],
      publicKey,
      keyType,
      validityMs: days * dayMs,
    });
    return this.#told({ actor: { kind: 'node' }, from: '', tenant: systemScope, owner: undefined }, made);
  }

  /** What stands behind a certificate of this authority: PEM of those below the root, nearest first, and of the root. */
  chainOf(authority: KnownAuthority): { readonly chain: string; readonly root: string } {
    const line = [authority, ...this.#services.list.above(authority.entry.id)];
    const below = line.slice(0, -1).map(({ entry }) => entry.certificate);
    return { chain: below.join(''), root: line.at(-1)!.entry.certificate };
  }

  /**
   * The same for a server. While a root is retiring it shows that root's word for the new one, too: a client that knows only the old
   * one goes on by it. For others it is one certificate too many, which a strict reader of chains (Java's) does not pass over.
   */
  serverChainOf(authority: KnownAuthority): string {
    const { list, keys } = this.#services;
    const isOverlap = list.all.some(({ entry, isOwn }) => isOwn && entry.role === 'root' && entry.status === 'retiring');
    const root = list.above(authority.entry.id).at(-1);
    const cross = isOverlap && root !== undefined ? keys.certificates(root.entry.id).slice(1) : [];
    return this.chainOf(authority).chain + cross.join('');
  }

  /** The newest active issuing authority whose key is here. */
  issuer(): Issuer | undefined {
    const { list, keys, clock } = this.#services;
    for (const authority of list.active('issuing')) {
      const signer = keys.signer(authority.entry.id);
      const endsMs = this.#endOf(authority);
      if (signer !== undefined && list.isTrusted(authority.entry.id) && endsMs - clock.wallMs() > leastValidityMs)
        return { authority, signer };
    }
    return undefined;
  }

  /** It can sign until it, or an authority above it, expires. */
  #endOf(authority: KnownAuthority): number {
    return Math.min(...[authority, ...this.#services.list.above(authority.entry.id)].map(({ facts }) => facts.notAfterMs));
  }

  async #issueFor(request: IssueRequest): Promise<PkiResult<IssuedCertificate>> {
    const { tenant, owner } = request;
    const settings = this.#services.settings();
    const read = readCertificateRequest(request.request, settings.maxRequestBytes);
    if (!read.ok) return read;
    const fault = requestFault({ tenant, owner, settings: settings.profiles[owner.kind], request: read.value });
    if (fault !== undefined) return { ok: false, error: fault };
    const standing = await this.#ownerFault(tenant, owner);
    if (standing !== undefined) return { ok: false, error: standing };
    return this.#forOwner(request, read.value.publicKey, read.value.keyType);
  }

  async #ownerFault(tenant: string, owner: Owner): Promise<IssueFault | undefined> {
    const { registry } = this.#services;
    const [place, found] = await Promise.all([registry.get('tenant', systemScope, tenant), registry.get(owner.kind, tenant, owner.id)]);
    if (!place.ok) return unavailable(place.error);
    if (!found.ok) return unavailable(found.error);
    if (found.value === undefined) return { code: 'unknown-owner', message: `There is no ${owner.kind} ${tenant}/${owner.id}.` };
    if (found.value.status !== 'active') return { code: 'disabled', message: `The ${owner.kind} ${tenant}/${owner.id} is disabled.` };
    if (place.value?.status === 'disabled') return { code: 'disabled', message: `The tenant ${tenant} is disabled.` };
    return undefined;
  }

  async #forOwner(
    { tenant, owner, validityMs }: IssueWithKeyRequest,
    publicKey: Uint8Array,
    keyType: RequestedKey,
  ): Promise<PkiResult<IssuedCertificate>> {
    const profile = this.#services.settings().profiles[owner.kind];
    if (validityMs !== undefined && !(validityMs >= leastValidityMs)) {
      return refused('not-allowed', `A certificate is valid for at least ${leastValidityMs / 1000} seconds.`, 'validityMs');
    }
    const fits = (name: string): string | undefined => (name.length <= maxNameLength ? name : undefined);
    return this.#make({
      profile: owner.kind,
      tenant,
      owner,
      subject: { O: fits(tenant), CN: fits(owner.id) },
      names: [{ uri: principalUri(tenant, owner.id) }],
      publicKey,
      keyType,
      validityMs: Math.min(validityMs ?? profile.validityDays * dayMs, profile.maxValidityDays * dayMs),
    });
  }

  async #make(content: Content): Promise<PkiResult<IssuedCertificate>> {
    const { clock, random, list } = this.#services;
    const issuer = this.issuer();
    if (issuer === undefined) return refused('unavailable', this.#whyNone());
    const { authority, signer } = issuer;
    // An authority that certifies its own key as a device's would let the key be used for both.
    if (list.get(authorityIdOf(content.publicKey)) !== undefined)
      return refused('weak-key', 'The key is that of an authority.', 'publicKey');
    const now = clock.wallMs();
    const serial = build.newSerial(random);
    let der: Buffer;
    try {
      der = await build.buildCertificate(
        {
          serial,
          issuerName: authority.facts.subjectName,
          subjectName: build.distinguishedName(content.subject),
          notBeforeMs: Math.max(now - backdateMs, authority.facts.notBeforeMs),
          // Outliving its issuer would only look valid.
          notAfterMs: Math.min(now + content.validityMs, this.#endOf(authority)),
          publicKey: content.publicKey,
          extensions: this.#extensions(content, authority),
        },
        signer,
      );
    } catch {
      return refused('unavailable', 'The key of the issuing authority cannot be used now.');
    }
    return this.#record(content, authority, serial, der);
  }

  #whyNone(): string {
    const { list, clock } = this.#services;
    const active = list.active('issuing');
    if (active.length === 0) return 'There is no active issuing authority.';
    const isExpired = active.every((one) => this.#endOf(one) - clock.wallMs() <= leastValidityMs);
    return isExpired ? 'The issuing authority has expired.' : 'The key of the issuing authority is not on this node.';
  }

  #extensions({ profile, subject, names, keyType, publicKey }: Content, authority: KnownAuthority): Buffer[] {
    const { publicUrl } = this.#services.settings();
    const isNameless = subject.CN === undefined && subject.O === undefined;
    const extensions = [
      build.basicConstraints(undefined),
      build.keyUsage(usagesOf(profile, keyType)),
      build.extendedKeyUsage([extendedUsageOf(profile)]),
      ...(names.length > 0 ? [build.subjectAlternativeName(names, isNameless)] : []),
      build.subjectKeyId(build.keyIdOf(build.keyBitsOf(publicKey))),
      build.authorityKeyId(keyIdOfAuthority(authority.facts)),
    ];
    if (publicUrl === undefined) return extensions;
    const urls = publishedUrls(publicUrl, authority.entry.id);
    return [...extensions, build.crlDistributionPoint(urls.crl), build.authorityInformation({ ocsp: urls.ocsp, issuer: urls.certificate })];
  }

  async #record(content: Content, authority: KnownAuthority, serial: string, der: Buffer): Promise<PkiResult<IssuedCertificate>> {
    const certificate = new X509Certificate(der);
    // A signer that signs something else (an HSM that was mixed up) must not put its mistake into the world.
    if (!certificate.verify(new X509Certificate(authority.entry.certificate).publicKey)) {
      return refused('unavailable', 'The key of the issuing authority does not belong to its certificate.');
    }
    const fingerprint = fingerprintOf(certificate);
    const [notBeforeMs, notAfterMs] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
    const recorded = await this.#services.registry.create('certificate', content.tenant, fingerprint, {
      ...(content.owner && { owner: content.owner }),
      serial,
      issuer: authority.entry.id,
      subject: subjectInWords(certificate),
      notBeforeMs,
      notAfterMs,
    });
    if (!recorded.ok) {
      const isGone = recorded.error.code === 'unknown-reference' || recorded.error.code === 'unknown-tenant';
      return isGone
        ? refused('unknown-owner', 'The owner of the certificate does not exist any more.')
        : { ok: false, error: unavailable(recorded.error) };
    }
    const pem = pemOf('CERTIFICATE', der);
    return { ok: true, value: { certificate: pem, ...this.chainOf(authority), fingerprint, serial, notBeforeMs, notAfterMs } };
  }

  #told<T extends IssuedCertificate>(
    by: { readonly actor: Actor; readonly from: string; readonly tenant: string; readonly owner: Owner | undefined },
    result: PkiResult<T>,
  ): PkiResult<T> {
    const { actor, from, tenant, owner } = by;
    const target = owner === undefined ? 'node' : `${owner.kind}/${tenant}/${owner.id}`;
    const event = { actor, from, action: 'certificate.issue', target };
    if (result.ok) {
      this.#issued++;
      const { fingerprint, serial, notAfterMs } = result.value;
      this.#services.audit.record({ ...event, outcome: 'done', details: { fingerprint, serial, notAfterMs } });
    } else {
      this.#refused++;
      const { code, field } = result.error;
      const outcome = code === 'unavailable' ? 'failed' : 'refused';
      this.#services.audit.record({ ...event, outcome, details: { code, ...(field !== undefined && { field }) } });
    }
    return result;
  }
}

function unavailable(error: RegistryError): IssueFault {
  return { code: 'unavailable', message: `The registry does not take it: ${error.message}.` };
}

/** RFC 5280 §4.2.1.1: as it stands in the issuer's certificate, else the SHA-1 of its key. */
export function keyIdOfAuthority(facts: CertificateFacts): Uint8Array {
  return facts.subjectKeyId ?? issuerHashes(facts, 'sha1').key;
}

export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** `O=acme, CN=pump-7`. */
export function subjectInWords(certificate: X509Certificate): string {
  return (certificate.subject ?? '').replaceAll('\n', ', ').slice(0, 1024);
}
