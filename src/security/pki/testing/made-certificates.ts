// Certificates for tests, right and wrong in every way that a test may want: made of bytes, so that no library refuses to.

import { createHash, createPublicKey, generateKeyPairSync, sign as signWith, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { certificateFacts, extendedUsage, type CertificateFacts } from '../certificate-facts.ts';
import { context, primitiveContext, tags } from '../der/der-reader.ts';
import { bits, element, extension, integer, octets, oid, sequence, time, yes } from '../der/der-writer.ts';
import type { KeyAlgorithm, Signer } from '../pki.ts';
import { distributionPoint } from '../revocation/crl-format.ts';
import { signatureAlgorithms } from '../revocation/signatures.ts';

const dayMs = 86_400_000;

export class TestSigner implements Signer {
  readonly algorithm: KeyAlgorithm;
  readonly key: KeyObject;
  readonly publicKey: Uint8Array;
  signatures = 0;
  /** When set, what `sign` rejects with. */
  fault: Error | undefined;

  constructor(algorithm: KeyAlgorithm = 'ecdsa-p256') {
    this.algorithm = algorithm;
    this.key =
      algorithm === 'ed25519'
        ? generateKeyPairSync('ed25519').privateKey
        : generateKeyPairSync('ec', { namedCurve: algorithm === 'ecdsa-p256' ? 'P-256' : 'P-384' }).privateKey;
    this.publicKey = createPublicKey(this.key).export({ type: 'spki', format: 'der' });
  }

  sign(data: Uint8Array): Promise<Uint8Array> {
    this.signatures++;
    if (this.fault !== undefined) return Promise.reject(this.fault);
    return Promise.resolve(this.signNow(data));
  }

  signNow(data: Uint8Array): Uint8Array {
    const digest = { 'ecdsa-p256': 'sha256', 'ecdsa-p384': 'sha384', ed25519: null }[this.algorithm];
    return signWith(digest, data, { key: this.key, dsaEncoding: 'der' });
  }
}

export type CertificateChoices = {
  readonly serial?: string;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  /** An authority; its number is the path length. */
  readonly authority?: boolean | number;
  /** Object identifiers; undefined: clientAuth for peers, none for authorities. Empty: no extension. */
  readonly usages?: readonly string[];
  readonly uris?: readonly string[];
  /** DNS names that authorities below may not leave. */
  readonly permittedUris?: readonly string[];
  readonly crlUrl?: string;
  readonly ocspUrl?: string;
};

/** A certificate with its key. */
export class Made {
  readonly commonName: string;
  readonly signer: TestSigner;
  readonly der: Buffer;
  readonly issuer: Made | undefined;

  constructor(commonName: string, signer: TestSigner, der: Buffer, issuer: Made | undefined) {
    this.commonName = commonName;
    this.signer = signer;
    this.der = der;
    this.issuer = issuer;
  }

  get pem(): string {
    return `-----BEGIN CERTIFICATE-----\n${this.der.toString('base64').replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
  }

  get keyPem(): string {
    return this.signer.key.export({ type: 'pkcs8', format: 'pem' }) as string;
  }

  get x509(): X509Certificate {
    return new X509Certificate(this.der);
  }

  get facts(): CertificateFacts {
    return certificateFacts(this.der)!;
  }

  /** SHA-256 of the DER, as the registry names certificates. */
  get fingerprint(): string {
    return this.x509.fingerprint256.replaceAll(':', '').toLowerCase();
  }

  issue(commonName: string, choices: CertificateChoices = {}, signer = new TestSigner()): Made {
    return new Made(commonName, signer, certificate(commonName, signer, this, choices), this);
  }
}

export function madeRoot(commonName: string, choices: CertificateChoices = {}, signer = new TestSigner()): Made {
  return new Made(commonName, signer, certificate(commonName, signer, undefined, { authority: true, ...choices }), undefined);
}

let lastSerial = 0x4000;

function certificate(commonName: string, signer: TestSigner, issuer: Made | undefined, choices: CertificateChoices): Buffer {
  const now = Date.now();
  const { serial = (++lastSerial).toString(16), notBeforeMs = now - dayMs, notAfterMs = now + 30 * dayMs } = choices;
  const by = issuer?.signer ?? signer;
  const algorithm = signatureAlgorithms[by.algorithm];
  const tbs = sequence(
    element(context(0), integer(2)),
    integer(serial),
    algorithm,
    name(issuer?.commonName ?? commonName),
    sequence(time(notBeforeMs), time(notAfterMs)),
    name(commonName),
    signer.publicKey,
    element(context(3), sequence(...extensions(signer, by, choices))),
  );
  return sequence(tbs, algorithm, bits(by.signNow(tbs)));
}

function name(commonName: string): Buffer {
  return sequence(element(tags.set, sequence(oid('2.5.4.3'), element(0x0c, Buffer.from(commonName)))));
}

function extensions(signer: TestSigner, by: TestSigner, choices: CertificateChoices): Buffer[] {
  const { authority = false, uris = [], permittedUris = [], crlUrl, ocspUrl } = choices;
  const isAuthority = authority !== false;
  const usages = choices.usages ?? (isAuthority ? [] : [extendedUsage.clientAuth]);
  const pathLength = typeof authority === 'number' ? [integer(authority)] : [];
  const all = [
    extension('2.5.29.19', isAuthority ? sequence(yes, ...pathLength) : sequence(), true),
    extension('2.5.29.14', octets(keyId(signer))),
    extension('2.5.29.35', sequence(element(primitiveContext(0), keyId(by)))),
    // keyCertSign and cRLSign, or digitalSignature.
    extension('2.5.29.15', element(tags.bitString, isAuthority ? Buffer.of(1, 0x06) : Buffer.of(7, 0x80)), true),
  ];
  if (usages.length > 0) all.push(extension('2.5.29.37', sequence(...usages.map(oid))));
  const uri = (text: string): Buffer => element(primitiveContext(6), Buffer.from(text));
  if (uris.length > 0) all.push(extension('2.5.29.17', sequence(...uris.map(uri))));
  if (permittedUris.length > 0) {
    const trees = permittedUris.map((text) => sequence(uri(text)));
    all.push(extension('2.5.29.30', sequence(element(context(0), ...trees)), true));
  }
  if (crlUrl !== undefined) all.push(extension('2.5.29.31', distributionPoint(crlUrl)));
  if (ocspUrl !== undefined) all.push(extension('1.3.6.1.5.5.7.1.1', sequence(sequence(oid('1.3.6.1.5.5.7.48.1'), uri(ocspUrl)))));
  return all;
}

function keyId({ publicKey }: TestSigner): Buffer {
  return createHash('sha1').update(publicKey).digest();
}
