// Whether a client's certificates lead to an authority that is trusted here (RFC 5280 §6), for DTLS, which OpenSSL does not do for
// us. The rules are those that OpenSSL has for the certificates of TLS clients, and stricter where noted:
//
//   - a path ends at a root: a trusted certificate that has signed itself. Other trusted ones may stand in it.
//   - of the root, too, validity, path length, usages and name constraints count.
//   - every authority must say that it is one (basicConstraints); OpenSSL takes roots of version 1.
//   - a client's certificate that says what its key is for must allow signatures; OpenSSL takes key agreement, too.
//
// Policies are not asked for. Revocation, retired authorities and who the client is are judged afterwards (HandshakeGuard), as for TLS.

import type { X509Certificate } from 'node:crypto';
import type { CertificateFault } from '../../security.ts';
import { extendedUsage } from '../certificate-facts.ts';
import { sameName } from './distinguished-name.ts';
import { permits } from './name-constraints.ts';
import { pathCertificate, type PathCertificate } from './path-certificate.ts';

export type PathVerdict =
  /** As TLS hands it on: `issuerCertificate` is the one that has signed it, where the peer has sent that. */
  | { readonly ok: true; readonly certificate: X509Certificate }
  /** `certificate`: the peer's own, when it can be read. */
  | { readonly ok: false; readonly fault: CertificateFault; readonly certificate: X509Certificate | undefined };

/** Certificates that a peer may send. */
export const maxSent = 6;
/** Certificates of a path, root included. */
const maxPath = 8;
/** Signatures that are checked for one peer: names can be made to fit many. */
const maxChecks = 24;

export class PathValidator {
  readonly #authorities: readonly PathCertificate[];
  readonly #isRoot = new Set<PathCertificate>();

  /** `authorities`: DER of those that are trusted. What cannot be read, or is too weak, is passed over. */
  constructor(authorities: readonly Uint8Array[]) {
    const known = new Map<string, PathCertificate>();
    for (const der of authorities) {
      const one = pathCertificate(der);
      if (one !== undefined) known.set(one.x509.fingerprint256, one);
    }
    this.#authorities = [...known.values()];
    for (const one of this.#authorities) if (sameName(one.issuer, one.subject) && isSignedBy(one, one)) this.#isRoot.add(one);
  }

  /** Names (DER) of those that are trusted, for a client that has several certificates. */
  get names(): readonly Uint8Array[] {
    const found = new Map(this.#authorities.map(({ subjectDer }) => [Buffer.from(subjectDer).toString('latin1'), subjectDer]));
    return [...found.values()];
  }

  /** `chain`: DER, the peer's own certificate first, then others in any order. `nowMs`: wall clock. Never throws. */
  validate(chain: readonly Uint8Array[], nowMs: number): PathVerdict {
    const [first, ...rest] = chain;
    if (first === undefined) return { ok: false, fault: 'missing', certificate: undefined };
    const own = pathCertificate(first);
    if (own === undefined) return { ok: false, fault: 'malformed', certificate: undefined };
    const refused = (fault: CertificateFault): PathVerdict => ({ ok: false, fault, certificate: own.x509 });
    if (chain.length > maxSent) return refused('path-too-long');
    const sent: PathCertificate[] = [];
    for (const der of rest) {
      const one = pathCertificate(der);
      if (one === undefined) return refused('malformed');
      sent.push(one);
    }
    const search = new Search(this.#authorities, this.#isRoot, sent, nowMs);
    const path = search.from(own);
    if (path === undefined) return refused(search.fault);
    return { ok: true, certificate: linked(path, sent) };
  }
}

/** Goes up from a certificate in all ways that names allow, and takes the first that ends at a root and is right. */
class Search {
  /** Of the way that came farthest. */
  fault: CertificateFault = 'unknown-authority';
  readonly #authorities: readonly PathCertificate[];
  readonly #roots: ReadonlySet<PathCertificate>;
  readonly #sent: readonly PathCertificate[];
  readonly #nowMs: number;
  #checks = 0;

  constructor(
    authorities: readonly PathCertificate[],
    roots: ReadonlySet<PathCertificate>,
    sent: readonly PathCertificate[],
    nowMs: number,
  ) {
    this.#authorities = authorities;
    this.#roots = roots;
    this.#sent = sent;
    this.#nowMs = nowMs;
  }

  from(own: PathCertificate): readonly PathCertificate[] | undefined {
    // OpenSSL, too, says of what nobody else has signed that nobody vouches for it.
    if (sameName(own.issuer, own.subject) && isSignedBy(own, own)) return undefined;
    return this.#above([own]);
  }

  #above(path: readonly PathCertificate[]): readonly PathCertificate[] | undefined {
    const last = path.at(-1)!;
    if (this.#roots.has(last)) {
      const fault = pathFault(path, this.#nowMs);
      if (fault !== undefined) this.fault = fault;
      return fault === undefined ? path : undefined;
    }
    if (path.length >= maxPath) {
      this.#note('path-too-long');
      return undefined;
    }
    // Those that are trusted first: what a peer has sent is needed only for what lies between.
    for (const candidates of [this.#authorities, this.#sent]) {
      for (const issuer of candidates) {
        if (!sameName(last.issuer, issuer.subject) || !fitsKeyIds(last, issuer) || isRepeated(path, issuer)) continue;
        if (!this.#hasSigned(issuer, last)) continue;
        const found = this.#above([...path, issuer]);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  #hasSigned(issuer: PathCertificate, below: PathCertificate): boolean {
    // It is not one that could sign certificates: as if nobody had signed.
    if (!issuer.isAuthority || issuer.keyUsage?.keyCertSign === false) return false;
    if (!issuer.isStrong) {
      this.#note('other');
      return false;
    }
    if (++this.#checks > maxChecks) return false;
    if (isSignedBy(below, issuer)) return true;
    this.#note('bad-signature');
    return false;
  }

  /** Unless more is known already. */
  #note(fault: CertificateFault): void {
    if (this.fault === 'unknown-authority') this.fault = fault;
  }
}

function isSignedBy(below: PathCertificate, issuer: PathCertificate): boolean {
  try {
    return below.x509.verify(issuer.key);
  } catch {
    // Of a kind that the key cannot check.
    return false;
  }
}

/** The same certificate, or the same authority by another one, would only make a loop. */
function isRepeated(path: readonly PathCertificate[], next: PathCertificate): boolean {
  return path.some((one) => one.der.length === next.der.length && Buffer.compare(one.der, next.der) === 0);
}

function fitsKeyIds({ authorityKeyId: wanted }: PathCertificate, { subjectKeyId, serial }: PathCertificate): boolean {
  if (wanted === undefined) return true;
  if (wanted.keyId !== undefined && subjectKeyId !== undefined && Buffer.compare(wanted.keyId, subjectKeyId) !== 0) return false;
  return wanted.serial === undefined || wanted.serial === serial;
}

/** `path`: the peer's own first, the root last; each signed by the next. */
function pathFault(path: readonly PathCertificate[], nowMs: number): CertificateFault | undefined {
  const [own] = path as [PathCertificate];
  for (const one of path) {
    // RFC 5280 §6.1.3 (a) (2); expired goes first, as it is what an operator can mend.
    if (one.notAfterMs < nowMs) return 'expired';
    if (one.notBeforeMs > nowMs) return 'not-yet-valid';
    // §6.1.4 (o), §6.1.5 (f)
    if (one.unknownCritical !== undefined) return 'other';
    if (!one.isStrong || (one !== path.at(-1) && !one.hasStrongSignature)) return 'other';
    // §4.2.1.12: an authority that says what is certified below it is held to that, as OpenSSL does.
    if (one.extendedUsages !== undefined && !one.extendedUsages.includes(extendedUsage.clientAuth)) return 'wrong-usage';
  }
  if (own.keyUsage?.digitalSignature === false) return 'wrong-usage';
  return lengthFault(path) ?? constraintFault(path);
}

/** §6.1.4 (l), (m): how many may stand below each, without the peer's own and those that an authority issued to itself. */
function lengthFault(path: readonly PathCertificate[]): CertificateFault | undefined {
  let below = 0;
  for (const one of path.slice(1)) {
    if (one.pathLength !== undefined && below > one.pathLength) return 'path-too-long';
    if (!isSelfIssued(one)) below++;
  }
  return undefined;
}

/** §6.1.3 (b), (c) */
function constraintFault(path: readonly PathCertificate[]): CertificateFault | undefined {
  for (const [depth, { constraints }] of path.entries()) {
    if (constraints === undefined || depth === 0) continue;
    for (const [i, below] of path.slice(0, depth).entries()) {
      if (i > 0 && isSelfIssued(below)) continue;
      if (!below.names.every((name) => permits(constraints, name))) return 'name-not-permitted';
    }
  }
  return undefined;
}

function isSelfIssued({ issuer, subject }: PathCertificate): boolean {
  return sameName(issuer, subject);
}

/** The peer's own, with what it has sent of those above it behind it, in the form that TLS has them (see revocation/trust-path.ts). */
function linked(path: readonly PathCertificate[], sent: readonly PathCertificate[]): X509Certificate {
  for (const [i, { x509 }] of path.entries()) {
    const above = path[i + 1];
    if (above === undefined || !sent.includes(above)) break;
    Object.defineProperty(x509, 'issuerCertificate', { value: above.x509 });
  }
  return path[0]!.x509;
}
