// The keys and certificates of one node, in `<data>/pki`, for their owner alone:
//
//   ca.crt       roots of the built-in authority: what clients are given to trust this broker (written by built-in-pki.ts)
//   keys/        keys of the authorities (authority-keys.ts)
//   server.pem   key, certificate and chain of the server, in one file so that all are replaced in one step
//
// Certificates of the configuration take the place of server.pem, and of the built-in authority where clients are verified.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import { writePrivateFile } from '../../base/private-file.ts';
import { UserError } from '../../base/user-error.ts';
import type { BuiltInPki } from './built-in-pki.ts';
import { parseCertificates, readClientAuthorities, readServerCertificate } from './certificate-files.ts';
import type { ServerCertificate } from './certificate-files.ts';
import { newPrivateKey, plainPem, publicKeyOf } from './software-signer.ts';
import { readIfPresent, warnIfExposed } from './keystore-files.ts';

const serverDays = 90;
/** Renewed when less than this part of its life is left. */
const renewBelow = 1 / 3;
const dayMs = 86_400_000;

export type KeystoreFiles = {
  /** Files of the operator's own certificates; empty: a certificate is issued. */
  readonly certificates: readonly {
    readonly certificateFile: string;
    readonly privateKeyFile: string;
    readonly serverNames: readonly string[];
  }[];
  /** Who may issue client certificates; undefined: the built-in authority. */
  readonly clientCaFile: string | undefined;
  /** Names and addresses, besides the ones every machine has, by which clients reach the issued certificate's server. */
  readonly serverNames: readonly string[];
  /** Of the issued certificate's key; absent: P-256. */
  readonly serverCurve?: 'P-256' | 'P-384';
};

export type KeystoreOptions = KeystoreFiles & {
  /** `<data>/pki`. */
  readonly directory: string;
  readonly hostname: string;
};

export type KeystoreServices = { readonly clock: Clock; readonly log: Log; readonly pki: BuiltInPki };

/** What TLS listeners use; replaced as a whole, so that `===` tells whether anything changed. */
export type TlsMaterial = {
  /** At least one; the first is for clients that name no host. */
  readonly servers: readonly ServerCertificate[];
  /** PEM: who may issue client certificates. */
  readonly clientAuthorities: string;
  /** Those of them that the configuration names, of which the registry knows nothing. PEM; may be empty. */
  readonly operatorAuthorities: string;
};

/**
 * Opens the keystore, and makes the server's certificate when it is due.
 * @throws UserError when a file is missing, damaged, does not fit or has expired, or nothing can be issued
 */
export async function openKeystore(options: KeystoreOptions, services: KeystoreServices): Promise<Keystore> {
  const keystore = new Keystore(options, services);
  await keystore.reload();
  return keystore;
}

export class Keystore implements MetricSource {
  readonly #directory: string;
  readonly #hostname: string;
  readonly #services: KeystoreServices;
  #files: KeystoreFiles;
  #material: TlsMaterial | undefined;
  #expiries: { readonly name: string; readonly notAfterMs: number }[] = [];
  #renewals = 0;

  /** Use openKeystore. */
  constructor(options: KeystoreOptions, services: KeystoreServices) {
    this.#directory = options.directory;
    this.#hostname = options.hostname;
    this.#files = options;
    this.#services = services;
  }

  get material(): TlsMaterial {
    return this.#material!;
  }

  /** PEM of the built-in authority's roots. */
  get authorityCertificate(): string {
    return this.#services.pki.trustAnchors;
  }

  /** When the certificates in use, and the built-in authority, expire. */
  get expiries(): readonly { readonly name: string; readonly notAfterMs: number }[] {
    return this.#expiries;
  }

  get authorityFile(): string {
    return this.#services.pki.trustFile;
  }

  /** Reads all files again and renews what is due; on an error what was in force stays. @throws UserError */
  async reload(files: KeystoreFiles = this.#files): Promise<void> {
    const now = this.#services.clock.wallMs();
    const servers: ServerCertificate[] = [];
    for (const one of files.certificates) servers.push(await readServerCertificate(one, now));
    if (servers.length === 0) servers.push(await this.#ownServerCertificate(files));
    const clients = files.clientCaFile === undefined ? undefined : await readClientAuthorities(files.clientCaFile, now);
    this.#files = files;
    this.#expiries = [
      ...this.#authorityExpiries(),
      ...servers.map(({ source, notAfterMs }) => ({ name: files.certificates.length === 0 ? 'server' : source, notAfterMs })),
    ];
    if (clients !== undefined) this.#expiries.push({ name: 'client authorities', notAfterMs: clients.notAfterMs });
    const next: TlsMaterial = {
      servers,
      clientAuthorities: clients?.pem ?? this.#services.pki.clientAnchors.join(''),
      operatorAuthorities: clients?.pem ?? '',
    };
    if (!isSame(this.#material, next)) this.#material = next;
  }

  /**
   * To be called about once an hour, and when authorities have changed: renews the issued server certificate when a third of its life
   * is left or its issuer is replaced, and follows whom clients are verified by. True when `material` changed.
   */
  async renewIfDue(): Promise<boolean> {
    const before = this.#material;
    const isBuiltIn = this.#files.certificates.length === 0 || this.#files.clientCaFile === undefined;
    if (isBuiltIn) await this.reload();
    return this.#material !== before;
  }

  /** Of those in force, the root and the issuing authority that end first. */
  *#authorityExpiries(): Generator<{ readonly name: string; readonly notAfterMs: number }> {
    const active = this.#services.pki.authorities.filter(({ role, status }) => role !== 'foreign' && status === 'active');
    if (active.length > 0) yield { name: 'authority', notAfterMs: Math.min(...active.map(({ notAfterMs }) => notAfterMs)) };
  }

  async #ownServerCertificate({ serverNames: extraNames, serverCurve = 'P-256' }: KeystoreFiles): Promise<ServerCertificate> {
    const path = join(this.#directory, serverFile);
    for (const name of extraNames) {
      if (!isServerName(name)) {
        throw new UserError(`A server certificate cannot be for the name \`${name}\`.`, {
          fix: 'give host names (also *.example.com) or addresses',
        });
      }
    }
    const own = isServerName(this.#hostname) ? [this.#hostname] : [];
    const names = [...new Set(['localhost', ...own, ...extraNames, '127.0.0.1', '::1'])];
    const existing = await this.#readServerFile(path);
    if (existing !== undefined && this.#isGood(existing, names, serverCurve)) return existing;
    return (await this.#issueServer(path, names, serverCurve)) ?? this.#stillUsable(existing, path);
  }

  /** Undefined: nothing can be issued now; the log tells why. */
  async #issueServer(path: string, names: readonly string[], curve: 'P-256' | 'P-384'): Promise<ServerCertificate | undefined> {
    const { pki, log } = this.#services;
    const key = await newPrivateKey(curve === 'P-384' ? 'ecdsa-p384' : 'ecdsa-p256');
    const issued = await pki.issuance.issueServer(publicKeyOf(key), names, serverDays);
    if (!issued.ok) {
      log.error('pki.server.certificate.not.issued', { error: issued.error.message });
      return undefined;
    }
    const { notAfterMs, fingerprint } = issued.value;
    const authority = pki.issuance.issuer()?.authority;
    const certificate = issued.value.certificate + (authority === undefined ? issued.value.chain : pki.issuance.serverChainOf(authority));
    const privateKey = plainPem(key);
    await writePrivateFile(path, privateKey + certificate);
    this.#renewals++;
    log.info('pki.server.certificate.issued', { names: names.join(', '), notAfter: new Date(notAfterMs).toISOString(), fingerprint });
    return { certificate, privateKey, serverNames: [], notAfterMs, source: path };
  }

  /** Better the one there is, as long as it is good for anybody. @throws UserError */
  #stillUsable(existing: ServerCertificate | undefined, path: string): ServerCertificate {
    if (existing !== undefined && existing.notAfterMs > this.#services.clock.wallMs()) return existing;
    throw new UserError('No certificate can be issued for this server.', {
      where: path,
      fix: 'bring the key of an issuing authority with "heliograph ca import", or name certificates in tls.certificates',
    });
  }

  async #readServerFile(path: string): Promise<ServerCertificate | undefined> {
    const pem = await readIfPresent(path);
    if (pem === undefined) return undefined;
    await warnIfExposed(path, this.#services.log);
    try {
      const own = parseCertificates(pem, path, 'server’s file')[0]!;
      const certificate = pem.slice(pem.indexOf('-----BEGIN CERTIFICATE-----'));
      const privateKey = pem.slice(0, pem.length - certificate.length);
      return { certificate, privateKey, serverNames: [], notAfterMs: own.validToDate.getTime(), source: path };
    } catch {
      // We made it and can make it again.
      this.#services.log.warn('pki.server.certificate.damaged', { path });
      return undefined;
    }
  }

  /** Ours, for all the names, by the authority that issues now, with enough time left. */
  #isGood({ certificate, privateKey, notAfterMs }: ServerCertificate, names: readonly string[], curve: 'P-256' | 'P-384'): boolean {
    const { clock, pki } = this.#services;
    const now = clock.wallMs();
    const authority = pki.issuance.issuer()?.authority;
    // Nothing better could be issued.
    const endMs = authority?.facts.notAfterMs ?? 0;
    // Once the authority itself ends sooner, a new certificate would not last longer.
    const notBelowMs = Math.min(now + serverDays * dayMs * renewBelow, endMs);
    if (notAfterMs < notBelowMs || notAfterMs <= now) return false;
    try {
      const own = new X509Certificate(certificate);
      const covered = new Set(own.subjectAltName?.split(', ').map(nameOfEntry));
      if (own.validFromDate.getTime() > now || !names.every((name) => covered.has(canonical(name)))) return false;
      if (authority !== undefined) {
        const isItsOwn = own.verify(new X509Certificate(authority.entry.certificate).publicKey);
        if (!isItsOwn || !certificate.endsWith(pki.issuance.serverChainOf(authority))) return false;
      }
      if (own.publicKey.asymmetricKeyDetails?.namedCurve !== (curve === 'P-384' ? 'secp384r1' : 'prime256v1')) return false;
      return own.checkPrivateKey(createPrivateKey(privateKey));
    } catch {
      return false;
    }
  }

  *metrics(): Iterable<Sample> {
    for (const { name, notAfterMs } of this.#expiries) {
      yield {
        name: 'heliograph_pki_certificate_expiry_timestamp_seconds',
        help: 'When a certificate expires, in seconds since the epoch.',
        type: 'gauge',
        labels: { certificate: name },
        value: notAfterMs / 1000,
      };
    }
    yield {
      name: 'heliograph_pki_server_certificates_issued_total',
      help: 'Server certificates that the built-in authority issued for this node since it started.',
      type: 'counter',
      value: this.#renewals,
    };
  }
}

const serverFile = 'server.pem';

function isServerName(name: string): boolean {
  if (isIP(name) !== 0) return !name.includes('%');
  return name.length <= 253 && /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i.test(name);
}

/** `DNS:x` or `IP Address:y` in the one spelling that names are compared in. */
function nameOfEntry(entry: string): string {
  return canonical(entry.slice(entry.indexOf(':') + 1));
}

function canonical(name: string): string {
  const isIpv6 = name.includes(':');
  return isIpv6 ? new URL(`http://[${name}]`).hostname : name.toLowerCase();
}

function isSame(a: TlsMaterial | undefined, b: TlsMaterial): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}
