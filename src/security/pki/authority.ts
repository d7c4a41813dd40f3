// The built-in certificate authority: one root that signs server and device certificates (RFC 5280). It knows no file; the
// keystore keeps its key.
//
// The X.509 library is loaded when something is issued, which most starts never do.

import { createHash, createPrivateKey, createPublicKey, generateKeyPair, webcrypto, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import type * as X509Library from '@peculiar/x509';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { UserError } from '../../base/user-error.ts';
import { nameFault } from '../../message/names.ts';
import { principalUri } from '../peer-certificate.ts';

const dayMs = 86_400_000;
const authorityDays = 3650;
const serialBytes = 16;
/** Devices' clocks run late; a certificate that starts an hour ago is good for them at once. */
const backdateMs = 3_600_000;
/** ub-common-name of RFC 5280, appendix A. */
const maxCommonNameLength = 64;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** What was issued, all in PEM. */
export type Issued = {
  /** PKCS #8. */
  readonly privateKey: string;
  readonly certificate: string;
  /** Issuers up to the root. */
  readonly chain: string;
  /** Hexadecimal. */
  readonly serialNumber: string;
  /** SHA-256 of the DER, lower-case hex: as in PeerCertificate. */
  readonly fingerprint: string;
  readonly notAfterMs: number;
};

/** `random` must be the secure source. */
export type IssueServices = { readonly clock: Clock; readonly random: Random };

async function x509Library(): Promise<typeof X509Library> {
  // The library's own dependency (tsyringe) needs this before it is loaded.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto);
  return x509;
}

export async function newPrivateKey(): Promise<KeyObject> {
  return (await promisify(generateKeyPair)('ec', { namedCurve: algorithm.namedCurve })).privateKey;
}

export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** A positive number of 127 bits, hexadecimal, as CAs must use (RFC 5280, 4.1.2.2). */
function newSerialNumber(random: Random): string {
  const bytes = Buffer.from(random.bytes(serialBytes));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** Makes the certificate of a new authority that holds `key`. */
export async function newAuthorityCertificate(key: KeyObject, { clock, random }: IssueServices): Promise<string> {
  const x509 = await x509Library();
  const publicKey = createPublicKey(key).toCryptoKey(algorithm, true, ['verify']);
  // The number keeps the authorities of two installations apart where a client trusts both, and is the same for the same key.
  const number = createHash('sha256')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 8);
  const name: X509Library.JsonName = [{ O: ['Heliograph'] }, { CN: [`Heliograph CA ${number}`] }];
  const now = clock.wallMs();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerialNumber(random),
    name,
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + authorityDays * dayMs),
    signingAlgorithm,
    keys: { privateKey: key.toCryptoKey(algorithm, false, ['sign']), publicKey },
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

type Profile = {
  readonly subject: X509Library.JsonName;
  readonly names: X509Library.JsonGeneralNames;
  readonly usage: 'serverAuth' | 'clientAuth';
  readonly days: number;
};

export class CertificateAuthority {
  readonly certificatePem: string;
  readonly certificate: X509Certificate;
  readonly #key: KeyObject;
  readonly #services: IssueServices;

  /** @throws UserError when the two do not belong together, or the certificate is no authority's; `where` names them */
  constructor(keyPem: string, certificatePem: string, services: IssueServices, where: string) {
    try {
      this.#key = createPrivateKey(keyPem);
      this.certificate = new X509Certificate(certificatePem);
    } catch {
      throw new UserError('The key or the certificate of the certificate authority is damaged.', {
        where,
        fix: 'restore it from a backup',
      });
    }
    if (!this.certificate.ca || !this.certificate.checkPrivateKey(this.#key)) {
      throw new UserError('The key and the certificate of the certificate authority do not belong together.', {
        where,
        fix: 'restore both from the same backup',
      });
    }
    this.certificatePem = certificatePem;
    this.#services = services;
  }

  get notAfterMs(): number {
    return this.certificate.validToDate.getTime();
  }

  /** For a TLS server that is reached by `names`: host names (also `*.example.com`) and addresses. */
  issueServer(names: readonly string[], days: number): Promise<Issued> {
    const first = names[0] ?? 'heliograph';
    return this.#issue({
      subject: first.length <= maxCommonNameLength ? [{ CN: [first] }] : [{ CN: ['heliograph'] }],
      names: names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      usage: 'serverAuth',
      days,
    });
  }

  /** For a device: who holds the key is the principal `name` of `tenant`. @throws UserError when a name cannot be in a certificate */
  async issueDevice(name: string, tenant: string, days: number): Promise<Issued> {
    for (const [what, text] of Object.entries({ 'device name': name, tenant })) {
      const fault = nameFault(text) ?? (text.length > maxCommonNameLength ? `is longer than ${maxCommonNameLength} characters` : undefined);
      if (fault !== undefined) throw new UserError(`The ${what} \`${text}\` ${fault}.`, { fix: 'choose another one' });
    }
    if (!Number.isInteger(days) || days < 1 || days > authorityDays) {
      throw new UserError(`A certificate cannot be valid for ${days} days.`, { fix: `choose 1 to ${authorityDays}` });
    }
    return this.#issue({
      subject: [{ O: [tenant] }, { CN: [name] }],
      names: [{ type: 'url', value: principalUri(tenant, name) }],
      usage: 'clientAuth',
      days,
    });
  }

  async #issue({ subject, names, usage, days }: Profile): Promise<Issued> {
    const { clock, random } = this.#services;
    const now = clock.wallMs();
    if (this.notAfterMs <= now) {
      throw new UserError(`The certificate authority has expired on ${this.certificate.validToDate.toISOString()}.`, {
        fix: 'move its files away, so that a new one is made, and give the clients its certificate',
      });
    }
    const x509 = await x509Library();
    const key = await newPrivateKey();
    const publicKey = createPublicKey(key).toCryptoKey(algorithm, true, ['verify']);
    const own = new x509.X509Certificate(this.certificatePem);
    const serialNumber = newSerialNumber(random);
    const extensions: X509Library.Extension[] = [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[usage]]),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(own.publicKey),
    ];
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber,
      subject,
      issuer: own.subjectName.toJSON(),
      notBefore: new Date(now - backdateMs),
      // Outliving its issuer would only look valid.
      notAfter: new Date(Math.min(now + days * dayMs, this.notAfterMs)),
      publicKey,
      signingKey: this.#key.toCryptoKey(algorithm, false, ['sign']),
      signingAlgorithm,
      extensions,
    });
    const pem = `${certificate.toString('pem')}\n`;
    return {
      privateKey: privateKeyPem(key),
      certificate: pem,
      chain: this.certificatePem,
      serialNumber,
      fingerprint: new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase(),
      notAfterMs: certificate.notAfter.getTime(),
    };
  }
}
