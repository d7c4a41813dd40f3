// The certificates of our own authorities (RFC 5280 §4.2): a root signs authorities, an issuing one signs peers and no authority.

import { createPublicKey, X509Certificate } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import * as build from './certificate-builder.ts';
import { authorityIdOf, type CertificateFacts } from './certificate-facts.ts';
import { pemOf } from './encrypted-key.ts';
import { backdateMs, keyIdOfAuthority } from './issuance.ts';
import type { Signer } from './pki.ts';
import { publishedUrls } from './revocation/own-authorities.ts';

const dayMs = 86_400_000;

type Services = { readonly clock: Clock; readonly random: Random };
export type AuthorityPlan = { readonly days: number; readonly publicUrl?: string | undefined };
export type Above = { readonly facts: CertificateFacts; readonly signer: Signer };

/** Below it: its successor, for which it vouches when the root is rotated, and that one's issuing authorities. */
const rootPathLength = 2;
/** Below a successor: issuing authorities, which make none. */
const successorPathLength = 1;

/** PEM. */
export async function rootCertificate(signer: Signer, days: number, services: Services): Promise<string> {
  return authorityCertificate({ name: nameOf('Root', signer), pathLength: rootPathLength, signer, days }, undefined, services);
}

/** PEM. */
export async function issuingCertificate(signer: Signer, above: Above, plan: AuthorityPlan, services: Services): Promise<string> {
  return authorityCertificate({ name: nameOf('Issuing', signer), pathLength: 0, signer, ...plan }, above, services);
}

/** The old root's word for a new one: the new root's name and key, signed by the old. PEM. */
export async function crossCertificate(root: CertificateFacts, above: Above, plan: AuthorityPlan, services: Services): Promise<string> {
  const days = (root.notAfterMs - services.clock.wallMs()) / dayMs;
  const signer = { publicKey: root.publicKey };
  return authorityCertificate({ name: root.subjectName, pathLength: successorPathLength, signer, ...plan, days }, above, services);
}

/** The number keeps the authorities of two installations apart where a client trusts both. */
function nameOf(kind: 'Root' | 'Issuing', { publicKey }: Pick<Signer, 'publicKey'>): Buffer {
  return build.distinguishedName({ O: 'Heliograph', CN: `Heliograph ${kind} CA ${authorityIdOf(publicKey).slice(0, 8)}` });
}

type Content = {
  readonly name: Uint8Array;
  readonly pathLength: number;
  readonly signer: Pick<Signer, 'publicKey'> | Signer;
  readonly days: number;
  readonly publicUrl?: string | undefined;
};

/** `above` undefined: it signs itself. */
async function authorityCertificate(content: Content, above: Above | undefined, { clock, random }: Services): Promise<string> {
  const { name, pathLength, signer, days, publicUrl } = content;
  const now = clock.wallMs();
  const ownKeyId = build.keyIdOf(build.keyBitsOf(signer.publicKey));
  const urls = above === undefined || publicUrl === undefined ? undefined : publishedUrls(publicUrl, above.facts.keyId);
  const draft: build.CertificateDraft = {
    serial: build.newSerial(random),
    issuerName: above?.facts.subjectName ?? name,
    subjectName: name,
    notBeforeMs: Math.max(now - backdateMs, above?.facts.notBeforeMs ?? 0),
    notAfterMs: Math.min(now + days * dayMs, above?.facts.notAfterMs ?? Infinity),
    publicKey: signer.publicKey,
    extensions: [
      build.basicConstraints({ pathLength }),
      // digitalSignature: for answers to OCSP that it signs itself.
      build.keyUsage(pathLength === 0 ? ['digitalSignature', 'keyCertSign', 'cRLSign'] : ['keyCertSign', 'cRLSign']),
      build.subjectKeyId(ownKeyId),
      build.authorityKeyId(above === undefined ? ownKeyId : keyIdOfAuthority(above.facts)),
      ...(urls === undefined
        ? []
        : [build.crlDistributionPoint(urls.crl), build.authorityInformation({ ocsp: urls.ocsp, issuer: urls.certificate })]),
    ],
  };
  const pem = pemOf('CERTIFICATE', await build.buildCertificate(draft, above?.signer ?? (signer as Signer)));
  // Told here and not by the first handshake, should a key and its certificate not belong together.
  const check = new X509Certificate(pem);
  const issuerKey =
    above === undefined ? check.publicKey : createPublicKey({ key: Buffer.from(above.facts.publicKey), format: 'der', type: 'spki' });
  if (!check.verify(issuerKey)) throw new Error('a new certificate is not signed by its issuer');
  return pem;
}
