// Authorities of somebody else. Whoever wants one to be trusted here must show to have its key, by a certificate that it makes for a
// name that nobody could know before: otherwise one tenant could claim another's authority, or a public one.

import { X509Certificate } from 'node:crypto';
import { timingSafeEqual } from 'node:crypto';
import { systemScope, type Entry } from '../../registry/entries.ts';
import { caFault, registryFault } from './ca-fault.ts';
import type { CaResult, ForeignSettings } from './ca-management.ts';
import { viewOf, type OpenServices } from './built-in-pki.ts';
import type { CertificateFacts } from './certificate-facts.ts';
import { factsOf } from './authority-list.ts';
import { pemOf } from './encrypted-key.ts';
import { subjectInWords } from './issuance.ts';
import type { AuthorityView } from './pki.ts';
import { describeCertificate } from '../peer-certificate.ts';

const maxPemLength = 16_384;
const rsaBits = { min: 2048, max: 8192 } as const;
const curves = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** Of one tenant, whatever their status: a node keeps all in memory, and a noted one has proved nothing. */
const maxOfTenant = 100;
/** Noted and not proved for so long: somebody else may have it. Else a tenant could keep another from its own authority. */
const reservedMs = 3_600_000;

type Registered = { readonly authority: AuthorityView; readonly nonce: string };

export async function registerForeign(
  given: { readonly tenant: string; readonly certificate: string } & ForeignSettings,
  services: OpenServices,
): Promise<CaResult<Registered>> {
  const { registry, list, keys, clock } = services;
  const { tenant, certificate: text, ...settings } = given;
  const read = readOne(text, 'certificate');
  if (!read.ok) return read;
  const { certificate, facts } = read.value;
  const fault = authorityFault(certificate, facts, clock.wallMs());
  if (fault !== undefined) return caFault('invalid', fault, 'certificate');
  const place = await registry.get('tenant', systemScope, tenant);
  if (!place.ok) return registryFault(place.error);
  if (place.value === undefined) return caFault('not-found', `There is no tenant ${tenant}.`);
  await list.refresh();
  const known = list.get(facts.keyId)?.entry;
  if (known?.tenant === tenant && known.status === 'pending') {
    return { ok: true, value: { authority: viewOf(known, keys), nonce: nonceOf(known, services) } };
  }
  if (list.all.filter(({ entry }) => entry.tenant === tenant).length >= maxOfTenant) {
    return caFault('conflict', `The tenant ${tenant} has ${maxOfTenant} authorities already.`);
  }
  if (known !== undefined) {
    const isForgotten = known.status === 'pending' && known.createdMs + reservedMs < clock.wallMs();
    const given = isForgotten ? await registry.remove('authority', known.tenant, known.id, known.version) : undefined;
    // Says nothing of where: that is another tenant's business.
    if (given?.ok !== true) return caFault('exists', 'This authority is registered already.');
  }
  const created = await registry.create('authority', tenant, facts.keyId, {
    role: 'foreign',
    certificate: pemOf('CERTIFICATE', certificate.raw),
    subject: subjectInWords(certificate),
    notBeforeMs: facts.notBeforeMs,
    notAfterMs: facts.notAfterMs,
    ...settings,
  });
  if (!created.ok) {
    if (created.error.code === 'exists') return caFault('exists', 'This authority is registered already.');
    if (created.error.code === 'invalid') return caFault('invalid', `${created.error.message}.`, created.error.field);
    return registryFault(created.error);
  }
  await list.refresh();
  return { ok: true, value: { authority: viewOf(created.value, keys), nonce: nonceOf(created.value, services) } };
}

/** Known only here, for this registration only; nothing of it has to be kept. */
function nonceOf({ tenant, id, createdMs }: Entry<'authority'>, { sealer }: OpenServices): string {
  return sealer.mark(`registration ${id} ${createdMs} ${tenant}`).toString('hex').slice(0, 40);
}

export async function proveForeign(
  { tenant, id, proof }: { readonly tenant: string; readonly id: string; readonly proof: string },
  services: OpenServices,
): Promise<CaResult<AuthorityView>> {
  const { registry, list, keys, clock } = services;
  await list.refresh();
  const entry = list.get(id)?.entry;
  if (entry === undefined || entry.role !== 'foreign' || entry.tenant !== tenant)
    return caFault('not-found', 'There is no such registration.');
  if (entry.status !== 'pending') return caFault('conflict', `The authority is ${entry.status}: there is nothing to prove.`);
  const read = readOne(proof, 'proof');
  if (!read.ok) return read;
  const fault = proofFault(read.value.certificate, entry, nonceOf(entry, services), clock.wallMs());
  if (fault !== undefined) return caFault('not-proved', fault, 'proof');
  const changed = await registry.update('authority', tenant, id, { status: 'active' }, entry.version);
  if (!changed.ok) return registryFault(changed.error);
  await list.refresh();
  return { ok: true, value: viewOf(changed.value, keys) };
}

function proofFault(proof: X509Certificate, entry: Entry<'authority'>, nonce: string, now: number): string | undefined {
  const { commonName } = describeCertificate(proof);
  const [named, wanted] = [Buffer.from(commonName ?? ''), Buffer.from(nonce)];
  const isNamed = named.length === wanted.length && timingSafeEqual(named, wanted);
  if (!isNamed) return 'The common name of the proof is not the one that was given.';
  const authority = new X509Certificate(entry.certificate);
  if (!proof.checkIssued(authority) || !proof.verify(authority.publicKey)) return 'The proof is not issued by this authority.';
  if (proof.validFromDate.getTime() > now || proof.validToDate.getTime() <= now) return 'The proof is not valid now.';
  return undefined;
}

function readOne(pem: string, field: string): CaResult<{ readonly certificate: X509Certificate; readonly facts: CertificateFacts }> {
  if (pem.length > maxPemLength) return caFault('invalid', `It has more than ${maxPemLength} characters.`, field);
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length !== 1) return caFault('invalid', 'It must be one certificate in PEM.', field);
  const facts = factsOf(blocks[0]!);
  if (facts === undefined) return caFault('invalid', 'The certificate is damaged.', field);
  return { ok: true, value: { certificate: new X509Certificate(blocks[0]!), facts } };
}

/** Why it cannot be an authority here. */
function authorityFault(certificate: X509Certificate, facts: CertificateFacts, now: number): string | undefined {
  if (!certificate.ca) return 'It is not the certificate of an authority.';
  // TLS in Node ends its search at who has signed itself.
  if (!certificate.checkIssued(certificate)) return 'It is not a root: register the authority that stands above all others of its chain.';
  if (facts.notAfterMs <= now) return `It expired on ${certificate.validToDate.toISOString()}.`;
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
  const bits = details?.modulusLength ?? 0;
  const isStrong =
    type === 'ed25519' ||
    (type === 'ec' && curves.has(details?.namedCurve ?? '')) ||
    (type === 'rsa' && bits >= rsaBits.min && bits <= rsaBits.max);
  return isStrong ? undefined : 'Its key is weak: P-256, P-384, P-521, Ed25519, or RSA with 2048 to 8192 bits are taken.';
}
