// The certificates of the own authorities in the registry, beside those of everybody else, so that the lists and the OCSP answers of a
// root speak of the authorities below it: who checks a whole chain is told `good`, and that a retired one is revoked.

import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { systemScope } from '../../registry/entries.ts';
import type { Registry } from '../../registry/registry.ts';
import type { AuthorityKeys } from './authority-keys.ts';
import { factsOf, type AuthorityList, type KnownAuthority } from './authority-list.ts';
import { fingerprintOf, subjectInWords } from './issuance.ts';

type Services = {
  readonly registry: Registry;
  readonly list: AuthorityList;
  readonly keys: AuthorityKeys;
  readonly clock: Clock;
  readonly log: Log;
};

type Signed = { readonly pem: string; readonly issuer: string; readonly isRetired: boolean };

/** Notes what is missing, and what was retired. What the registry does not take now it is given next time. */
export async function recordAuthorities(services: Services): Promise<void> {
  for (const { pem, issuer, isRetired } of signedOnes(services)) {
    const certificate = new X509Certificate(pem);
    const fault = (await create(certificate, issuer, services)) ?? (isRetired ? await revoke(certificate, services) : undefined);
    if (fault !== undefined) services.log.warn('pki.authority.not.recorded', { subject: subjectInWords(certificate), error: fault });
  }
}

/** A root's own certificate is nobody's to revoke; the word of its predecessor for it is. */
function* signedOnes({ list, keys }: Services): Generator<Signed> {
  for (const { entry, isOwn } of list.all) {
    if (!isOwn) continue;
    const isRetired = entry.status === 'retired';
    if (entry.issuer !== undefined) yield { pem: entry.certificate, issuer: entry.issuer, isRetired };
    for (const pem of keys.certificates(entry.id).slice(1)) {
      const name = factsOf(pem)?.issuerName;
      const hasSigned = (one: KnownAuthority): boolean =>
        one.isOwn &&
        name !== undefined &&
        Buffer.compare(one.facts.subjectName, name) === 0 &&
        new X509Certificate(pem).verify(new X509Certificate(one.entry.certificate).publicKey);
      const above = list.all.find(hasSigned);
      if (above !== undefined) yield { pem, issuer: above.entry.id, isRetired };
    }
  }
}

async function create(certificate: X509Certificate, issuer: string, { registry }: Services): Promise<string | undefined> {
  const fingerprint = fingerprintOf(certificate);
  const found = await registry.certificate(fingerprint);
  if (!found.ok) return found.error.message;
  if (found.value !== undefined) return undefined;
  const { serial } = factsOf(certificate.toString())!;
  const times = { notBeforeMs: certificate.validFromDate.getTime(), notAfterMs: certificate.validToDate.getTime() };
  const fields = { serial, issuer, subject: subjectInWords(certificate), ...times };
  const created = await registry.create('certificate', systemScope, fingerprint, fields);
  // Another node was quicker.
  return created.ok || created.error.code === 'exists' ? undefined : created.error.message;
}

async function revoke(certificate: X509Certificate, { registry, clock }: Services): Promise<string | undefined> {
  const fingerprint = fingerprintOf(certificate);
  const found = await registry.certificate(fingerprint);
  if (!found.ok) return found.error.message;
  if (found.value?.status !== 'valid') return undefined;
  const fields = { status: 'revoked', revokedAtMs: clock.wallMs(), reason: 'cessationOfOperation' } as const;
  const done = await registry.update('certificate', systemScope, fingerprint, fields);
  return done.ok ? undefined : done.error.message;
}
