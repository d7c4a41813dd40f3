// Answers of the OCSP responders of authorities that are not ours: asked for one certificate, verified, kept while they are good.

import { createPublicKey, X509Certificate } from 'node:crypto';
import { certificateFacts, extendedUsage, type CertificateFacts } from '../certificate-facts.ts';
import { skewMs, type ForeignServices } from './foreign-lists.ts';
import { issuerHashes, nameDigests, ocspRequest, readOcspAnswer, type ReadOcspAnswer } from './ocsp-format.ts';
import { verifySignature } from './signatures.ts';

type Status = 'good' | 'revoked';

const nonceBytes = 32;
const maxAnswerBytes = 64 * 1024;
/** An answer that does not say how long it is good is good for this time. */
const openEndMs = 60_000;
/** Addresses, and certificates, that are left alone for a while; when there are more, all are asked again. */
const maxLeftAlone = 1000;
const unknownCertificate = 'unknown-certificate';

export class ForeignAnswers {
  readonly #services: ForeignServices;
  /** In the order of use. */
  readonly #kept = new Map<string, { readonly status: Status; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<Status | undefined>>();
  /** Not before: by issuer and address, or, where the responder has answered as it should, by certificate and address. */
  readonly #retryMs = new Map<string, number>();

  constructor(services: ForeignServices) {
    this.#services = services;
  }

  get answers(): number {
    return this.#kept.size;
  }

  known(issuer: CertificateFacts, serial: string): Status | undefined {
    const key = keyOf(issuer, serial);
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    if (kept.untilMs <= this.#services.clock.wallMs()) return undefined;
    this.#kept.set(key, kept);
    return kept.status;
  }

  ask(url: string, issuer: CertificateFacts, serial: string): Promise<Status | undefined> {
    const { settings, clock, told } = this.#services;
    const key = `${keyOf(issuer, serial)} ${url}`;
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    // Not by address alone: another authority could name this one's responder in its certificates, and have it left alone.
    const place = `${issuer.keyId} ${url}`;
    const isEarly = [place, key].some((each) => clock.wallMs() < (this.#retryMs.get(each) ?? -Infinity));
    if (isEarly || this.#asking.size >= settings.maxRequests) return Promise.resolve(undefined);
    const asked = this.#load(url, issuer, serial)
      .then(
        (status) => {
          told('ocsp', url, undefined);
          return status;
        },
        (error: unknown) => {
          const reason = (error as Error).message;
          if (this.#retryMs.size >= maxLeftAlone) this.#retryMs.clear();
          // Who holds a certificate that the responder does not know must not keep it from being asked about others.
          this.#retryMs.set(reason === unknownCertificate ? key : place, clock.wallMs() + settings.retryMs);
          told('ocsp', url, reason);
          return undefined;
        },
      )
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return asked;
  }

  async idle(): Promise<void> {
    await Promise.all(this.#asking.values());
  }

  async #load(url: string, issuer: CertificateFacts, serial: string): Promise<Status | undefined> {
    const { fetch, clock, random, settings } = this.#services;
    const nonce = random.bytes(nonceBytes);
    const post = { body: ocspRequest(issuer, serial, nonce), type: 'application/ocsp-request' };
    const answer = readOcspAnswer(await fetch({ ...settings, url, post, maxBytes: maxAnswerBytes }));
    if (answer === undefined) throw new Error('malformed');
    // Many responders sign ahead and leave the nonce out (RFC 5019 §4.1); a wrong one is another matter.
    if (answer.nonce !== undefined && Buffer.compare(answer.nonce, nonce) !== 0) throw new Error('wrong-nonce');
    const nowMs = clock.wallMs();
    const publicKey = responderKey(answer, issuer, nowMs);
    if (publicKey === undefined) throw new Error('another-responder');
    if (!(await verifySignature(answer.algorithm, publicKey, answer.signed, answer.signature))) throw new Error('bad-signature');
    const single = answer.answers.find(({ id }) => id.serial === serial && isIssuer(id, issuer));
    if (single === undefined) throw new Error('another-certificate');
    const untilMs = Math.min(single.nextUpdateMs ?? single.thisUpdateMs + openEndMs, nowMs + settings.maxAgeMs);
    if (single.thisUpdateMs > nowMs + skewMs || untilMs <= nowMs) throw new Error('out-of-time');
    if (single.status.kind === 'unknown') throw new Error(unknownCertificate);
    this.#keep(keyOf(issuer, serial), { status: single.status.kind, untilMs });
    return single.status.kind;
  }

  #keep(key: string, kept: { readonly status: Status; readonly untilMs: number }): void {
    const { maxAnswers } = this.#services.settings;
    if (maxAnswers === 0) return;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size < maxAnswers) break;
      this.#kept.delete(oldest);
    }
    this.#kept.set(key, kept);
  }
}

function keyOf({ keyId }: CertificateFacts, serial: string): string {
  return `${keyId} ${serial}`;
}

function isIssuer(id: ReadOcspAnswer['answers'][number]['id'], issuer: CertificateFacts): boolean {
  const digest = nameDigests[id.digest];
  if (digest === undefined) return false;
  const { name, key } = issuerHashes(issuer, digest);
  return name.equals(id.nameHash) && key.equals(id.keyHash);
}

/** The key that must have signed: the issuer's, or that of a responder which the issuer has certified (RFC 6960 §4.2.2.2). */
function responderKey({ responder, certificates }: ReadOcspAnswer, issuer: CertificateFacts, nowMs: number): Uint8Array | undefined {
  const isResponder = (facts: CertificateFacts): boolean =>
    'name' in responder
      ? Buffer.compare(responder.name, facts.subjectName) === 0
      : issuerHashes(facts, 'sha1').key.equals(responder.keyHash);
  if (isResponder(issuer)) return issuer.publicKey;
  for (const der of certificates) {
    const facts = certificateFacts(der);
    if (facts === undefined || !isResponder(facts) || facts.extendedUsages?.includes(extendedUsage.ocspSigning) !== true) continue;
    if (facts.notBeforeMs > nowMs || facts.notAfterMs < nowMs || !isSignedBy(der, facts, issuer)) continue;
    return facts.publicKey;
  }
  return undefined;
}

function isSignedBy(der: Uint8Array, { issuerName }: CertificateFacts, issuer: CertificateFacts): boolean {
  if (Buffer.compare(issuerName, issuer.subjectName) !== 0) return false;
  try {
    const key = createPublicKey({ key: Buffer.from(issuer.publicKey), format: 'der', type: 'spki' });
    return new X509Certificate(der).verify(key);
  } catch {
    return false;
  }
}
