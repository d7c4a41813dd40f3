// The keys and certificates of one node, in `<data>/pki`, for their owner alone:
//
//   ca-key.pem   key of the built-in authority
//   ca.crt       its certificate: what clients are given to trust this broker
//   server.pem   key and certificate of the server, in one file so that both are replaced in one step
//
// Certificates of the configuration take the place of server.pem and, for clients, of ca.crt.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import { isReadableByOthers, makePrivateDirectory, writePrivateFile } from '../../base/private-file.ts';
import type { Random } from '../../base/random.ts';
import { UserError } from '../../base/user-error.ts';
import { CertificateAuthority, newAuthorityCertificate, newPrivateKey, privateKeyPem } from './authority.ts';
import type { Issued } from './authority.ts';
import { parseCertificates, readClientAuthorities, readServerCertificate } from './certificate-files.ts';
import type { ServerCertificate } from './certificate-files.ts';

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
};

export type KeystoreOptions = KeystoreFiles & {
  /** `<data>/pki`. */
  readonly directory: string;
  readonly hostname: string;
};

/** `random` must be the secure source. */
export type KeystoreServices = { readonly clock: Clock; readonly random: Random; readonly log: Log };

/** What TLS listeners use; replaced as a whole, so that `===` tells whether anything changed. */
export type TlsMaterial = {
  /** At least one; the first is for clients that name no host. */
  readonly servers: readonly ServerCertificate[];
  /** PEM: who may issue client certificates. */
  readonly clientAuthorities: string;
};

/**
 * Opens the keystore, and makes what is missing: the authority at the first start, the server's certificate when it is due.
 * @throws UserError when a file is missing, damaged, does not fit or has expired
 */
export async function openKeystore(options: KeystoreOptions, services: KeystoreServices): Promise<Keystore> {
  await makePrivateDirectory(options.directory);
  const authority = await openAuthority(options.directory, services);
  const keystore = new Keystore(options, services, authority);
  await keystore.reload();
  return keystore;
}

export class Keystore implements MetricSource {
  readonly #directory: string;
  readonly #hostname: string;
  readonly #services: KeystoreServices;
  readonly #authority: CertificateAuthority;
  #files: KeystoreFiles;
  #material: TlsMaterial | undefined;
  #expiries: { readonly name: string; readonly notAfterMs: number }[] = [];
  #renewals = 0;

  /** Use openKeystore. */
  constructor(options: KeystoreOptions, services: KeystoreServices, authority: CertificateAuthority) {
    this.#directory = options.directory;
    this.#hostname = options.hostname;
    this.#files = options;
    this.#services = services;
    this.#authority = authority;
  }

  get material(): TlsMaterial {
    return this.#material!;
  }

  /** PEM of the built-in authority's certificate. */
  get authorityCertificate(): string {
    return this.#authority.certificatePem;
  }

  /** When the certificates in use, and the built-in authority, expire. */
  get expiries(): readonly { readonly name: string; readonly notAfterMs: number }[] {
    return this.#expiries;
  }

  get authorityFile(): string {
    return join(this.#directory, authorityCertificateFile);
  }

  /** Reads all files again and renews what is due; on an error what was in force stays. @throws UserError */
  async reload(files: KeystoreFiles = this.#files): Promise<void> {
    const now = this.#services.clock.wallMs();
    const servers: ServerCertificate[] = [];
    for (const one of files.certificates) servers.push(await readServerCertificate(one, now));
    if (servers.length === 0) servers.push(await this.#ownServerCertificate(files.serverNames));
    const clients = files.clientCaFile === undefined ? undefined : await readClientAuthorities(files.clientCaFile, now);
    this.#files = files;
    this.#expiries = [
      { name: 'authority', notAfterMs: this.#authority.notAfterMs },
      ...servers.map(({ source, notAfterMs }) => ({ name: files.certificates.length === 0 ? 'server' : source, notAfterMs })),
    ];
    if (clients !== undefined) this.#expiries.push({ name: 'client authorities', notAfterMs: clients.notAfterMs });
    const next: TlsMaterial = { servers, clientAuthorities: clients?.pem ?? this.#authority.certificatePem };
    if (!isSame(this.#material, next)) this.#material = next;
  }

  /**
   * To be called about once an hour: renews the issued server certificate when a third of its life is left. True when `material`
   * changed.
   */
  async renewIfDue(): Promise<boolean> {
    const before = this.#material;
    if (this.#files.certificates.length === 0) await this.reload();
    return this.#material !== before;
  }

  /**
   * A key and certificate by which a device proves to be `name` of `tenant`. Nothing of it is kept here.
   * @throws UserError when the name cannot be one, or the authority has expired
   */
  issueDeviceCertificate(name: string, tenant: string, days: number): Promise<Issued> {
    return this.#authority.issueDevice(name, tenant, days);
  }

  async #ownServerCertificate(extraNames: readonly string[]): Promise<ServerCertificate> {
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
    if (existing !== undefined && this.#isGood(existing, names)) return existing;
    const issued = await this.#authority.issueServer(names, serverDays);
    await writePrivateFile(path, issued.privateKey + issued.certificate);
    this.#renewals++;
    this.#services.log.info('pki.server.certificate.issued', {
      names: names.join(', '),
      notAfter: new Date(issued.notAfterMs).toISOString(),
      fingerprint: issued.fingerprint,
    });
    const { certificate, privateKey, notAfterMs } = issued;
    return { certificate, privateKey, serverNames: [], notAfterMs, source: path };
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

  /** Ours, for all the names, and with enough time left. */
  #isGood({ certificate, privateKey, notAfterMs }: ServerCertificate, names: readonly string[]): boolean {
    const now = this.#services.clock.wallMs();
    // Once the authority itself ends sooner, a new certificate would not last longer.
    const notBelowMs = Math.min(now + serverDays * dayMs * renewBelow, this.#authority.notAfterMs);
    if (notAfterMs < notBelowMs || notAfterMs <= now) return false;
    try {
      const own = new X509Certificate(certificate);
      const covered = new Set(own.subjectAltName?.split(', ').map(nameOfEntry));
      if (own.validFromDate.getTime() > now || !names.every((name) => covered.has(canonical(name)))) return false;
      return own.verify(this.#authority.certificate.publicKey) && own.checkPrivateKey(createPrivateKey(privateKey));
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

const authorityKeyFile = 'ca-key.pem';
const authorityCertificateFile = 'ca.crt';
const serverFile = 'server.pem';

async function openAuthority(directory: string, services: KeystoreServices): Promise<CertificateAuthority> {
  const keyPath = join(directory, authorityKeyFile);
  const certificatePath = join(directory, authorityCertificateFile);
  let key = await readIfPresent(keyPath);
  let certificate = await readIfPresent(certificatePath);
  if (certificate === undefined) {
    // The key is written first, so a first start that was cut short leaves it alone. A certificate made again for it has the same
    // name, so that what the key signed earlier still holds.
    if (key === undefined) {
      key = privateKeyPem(await newPrivateKey());
      await writePrivateFile(keyPath, key);
    }
    certificate = await newAuthorityCertificate(parseOwnKey(key, keyPath), services);
    await writePrivateFile(certificatePath, certificate);
    services.log.info('pki.authority.created', { certificate: certificatePath });
  }
  if (key === undefined) {
    throw new UserError('The key of the certificate authority is missing.', {
      where: keyPath,
      fix: `restore it from a backup; or move ${certificatePath} away for a new authority, which clients must then be told to trust`,
    });
  }
  await warnIfExposed(keyPath, services.log);
  return new CertificateAuthority(key, certificate, services, `${keyPath}, ${certificatePath}`);
}

function parseOwnKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new UserError('The key of the certificate authority is damaged.', {
      where: path,
      fix: 'restore it from a backup, or move it away',
    });
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError('A file of the keystore cannot be read.', { where: path, fix: 'check its owner and mode', cause: error });
  }
}

async function warnIfExposed(path: string, log: Log): Promise<void> {
  if (await isReadableByOthers(path)) log.warn('pki.key.readable.by.others', { path, fix: `chmod 600 ${path}` });
}

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
