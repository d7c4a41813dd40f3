// The private keys of this node's authorities, and what stands beside each so that a lost registry can be filled again:
//
//   <data>/pki/keys/<id>.pem        encrypted PKCS #8, the authority's certificate, and perhaps the one its predecessor gave it
//   <data>/pki/keys/<id>.retired    empty: it must not be trusted again when the registry is lost
//
// `id` is the SHA-256 of the public key. A key that signs seldom (a root's) is opened for each signature and kept nowhere.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { isReadableByOthers, makePrivateDirectory, removePrivateFile, writePrivateFile } from '../../base/private-file.ts';
import type { Random } from '../../base/random.ts';
import { UserError } from '../../base/user-error.ts';
import { authorityIdOf } from './certificate-facts.ts';
import { decryptPrivateKey, encryptPrivateKey } from './encrypted-key.ts';
import type { KeyAlgorithm, Signer } from './pki.ts';
import type { Sealer } from './sealing.ts';
import { algorithmOf, newPrivateKey, publicKeyOf, softwareSigner } from './software-signer.ts';

/** A new key that is not kept yet: what it signs before `keep` is lost with it. */
export type NewKey = { readonly id: string; readonly signer: Signer; keep(certificates: readonly string[]): Promise<void> };

/** Where keys are: files, or an HSM. */
export interface AuthorityKeys {
  readonly kind: 'files' | 'hsm';
  create(algorithm: KeyAlgorithm): Promise<NewKey>;
  /** Undefined: it is not on this node. */
  signer(id: string): Signer | undefined;
  /** Certificates (PEM) that were kept with the key: its own first. */
  certificates(id: string): readonly string[];
  readonly ids: readonly string[];
  /** Those that are known to be retired, should the registry be lost. */
  readonly retired?: ReadonlySet<string>;
  noteRetired?(id: string): Promise<void>;
  /** Lets go of what is outside this process. */
  close?(): void;
}

type Kept = { readonly pem: string; readonly certificates: readonly string[]; readonly signer: Signer };

/** Certificates in a PEM text. */
export const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g;
const fileName = /^([0-9a-f]{64})\.(pem|retired)$/;

export type KeyServices = { readonly sealer: Sealer; readonly random: Random; readonly log: Log };

export class KeyFiles implements AuthorityKeys {
  readonly kind = 'files';
  readonly #directory: string;
  readonly #services: KeyServices;
  readonly #kept = new Map<string, Kept>();
  readonly #retired = new Set<string>();

  /** Use openKeyFiles. */
  constructor(directory: string, services: KeyServices) {
    this.#directory = directory;
    this.#services = services;
  }

  get ids(): readonly string[] {
    return [...this.#kept.keys()];
  }

  get retired(): ReadonlySet<string> {
    return this.#retired;
  }

  async noteRetired(id: string): Promise<void> {
    if (this.#retired.has(id)) return;
    await writePrivateFile(join(this.#directory, `${id}.retired`), '');
    this.#retired.add(id);
  }

  async create(algorithm: KeyAlgorithm): Promise<NewKey> {
    return this.adopt(await newPrivateKey(algorithm));
  }

  /** A key from elsewhere. */
  adopt(key: KeyObject): NewKey {
    const id = authorityIdOf(publicKeyOf(key));
    return { id, signer: softwareSigner(key), keep: (certificates) => this.#keep(id, key, certificates) };
  }

  signer(id: string): Signer | undefined {
    return this.#kept.get(id)?.signer;
  }

  certificates(id: string): readonly string[] {
    return this.#kept.get(id)?.certificates ?? [];
  }

  /** The key itself, for its export. Undefined: it is not here. */
  async key(id: string): Promise<KeyObject | undefined> {
    const kept = this.#kept.get(id);
    return kept && this.#open(kept.pem, this.#path(id));
  }

  /** Removes the key from this node. */
  async forget(id: string): Promise<void> {
    await removePrivateFile(this.#path(id));
    this.#kept.delete(id);
  }

  /** @throws UserError when a file is damaged, or the secret opens one of them not */
  async read(): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const [, id, kind] = fileName.exec(name) ?? [];
      if (id === undefined) continue;
      if (kind === 'retired') this.#retired.add(id);
      else await this.#read(id);
    }
  }

  async #read(id: string): Promise<void> {
    const path = this.#path(id);
    if (await isReadableByOthers(path)) this.#services.log.warn('pki.key.readable.by.others', { path, fix: `chmod 600 ${path}` });
    const pem = await readFile(path, 'utf8');
    const certificates = pem.match(pemCertificate) ?? [];
    const key = await this.#open(pem, path);
    if (algorithmOf(key) === undefined || authorityIdOf(publicKeyOf(key)) !== id) throw damaged(path);
    this.#remember(id, key, pem, certificates);
  }

  async #keep(id: string, key: KeyObject, certificates: readonly string[]): Promise<void> {
    const { sealer, random } = this.#services;
    const pem = (await encryptPrivateKey(key, sealer, random)) + certificates.join('');
    await writePrivateFile(this.#path(id), pem);
    this.#remember(id, key, pem, certificates);
  }

  #remember(id: string, key: KeyObject, pem: string, certificates: readonly string[]): void {
    const open = softwareSigner(key);
    // A root signs once in years: it need not lie open in the memory of a server.
    const isRoot = certificates[0] !== undefined && isSelfIssued(certificates[0]);
    const { algorithm, publicKey } = open;
    const sealed: Signer = {
      algorithm,
      publicKey,
      sign: async (data) => softwareSigner(await this.#open(pem, this.#path(id))).sign(data),
    };
    this.#kept.set(id, { pem, certificates, signer: isRoot ? sealed : open });
  }

  async #open(pem: string, where: string): Promise<KeyObject> {
    const { secret, source } = this.#services.sealer;
    const key = await decryptPrivateKey(pem, secret);
    if (key !== undefined) return key;
    throw new UserError(`A key of the certificate authority does not open with the ${source} that was given.`, {
      where,
      fix: source === 'passphrase' ? 'give the passphrase it was made with' : 'put the key file back that it was made with (pki.keyFile)',
    });
  }

  #path(id: string): string {
    return join(this.#directory, `${id}.pem`);
  }
}

/** `directory`: `<data>/pki/keys`. @throws UserError */
export async function openKeyFiles(directory: string, services: KeyServices): Promise<KeyFiles> {
  await makePrivateDirectory(directory);
  const files = new KeyFiles(directory, services);
  await files.read();
  return files;
}

function isSelfIssued(pem: string): boolean {
  try {
    const certificate = new X509Certificate(pem);
    return certificate.checkIssued(certificate);
  } catch {
    return false;
  }
}

/** A key in the clear, as versions before kept it. @throws UserError */
export function parsePlainKey(pem: string, where: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (algorithmOf(key) !== undefined) return key;
  } catch {
    // Told below, without the words of the library: nothing of a key may get into a log.
  }
  throw damaged(where);
}

function damaged(where: string): UserError {
  return new UserError('The key of the certificate authority is damaged.', { where, fix: 'restore it from a backup' });
}
