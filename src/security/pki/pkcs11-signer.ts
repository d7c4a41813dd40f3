// Authorities' keys in an HSM (PKCS #11 v2.40): made there, used there, never seen here. The package that speaks to the library has
// native code, so it is not installed with Heliograph; who wants an HSM installs it (npm install pkcs11js@2.1.7).
//
// Calls of the library block this process: an HSM over a network is felt when certificates are issued, not when messages flow.

import { createHash, createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { isReadableByOthers, makePrivateDirectory, writePrivateFile } from '../../base/private-file.ts';
import { UserError } from '../../base/user-error.ts';
import { pemCertificate, type AuthorityKeys, type NewKey } from './authority-keys.ts';
import { authorityIdOf } from './certificate-facts.ts';
import { contentOf, readDer, tags } from './der/der-reader.ts';
import { bits, integer, oid, sequence } from './der/der-writer.ts';
import type { KeyAlgorithm, Signer } from './pki.ts';

export type Pkcs11Settings = {
  readonly module: string;
  readonly slot?: number | undefined;
  readonly tokenLabel?: string | undefined;
  readonly pinFile: string;
  readonly keyLabel: string;
};

type Handle = Buffer;
type Attribute = { readonly type: number; readonly value?: Buffer | number | boolean | string };

/** What is used of the package. */
type Library = {
  load(path: string): void;
  close(): void;
  C_Initialize(): void;
  C_Finalize(): void;
  C_GetSlotList(withToken: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): { readonly label: string };
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_Login(session: Handle, user: number, pin: string): void;
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void;
  C_FindObjects(session: Handle, most: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(session: Handle, object: Handle, template: readonly Attribute[]): { readonly value: Buffer }[];
  C_GenerateKeyPair(
    session: Handle,
    mechanism: { readonly mechanism: number; readonly parameter?: Buffer },
    publicTemplate: readonly Attribute[],
    privateTemplate: readonly Attribute[],
  ): { readonly publicKey: Handle; readonly privateKey: Handle };
  C_SignInit(session: Handle, mechanism: { readonly mechanism: number }, key: Handle): void;
  C_Sign(session: Handle, data: Buffer, out: Buffer): Buffer;
};

// Numbers of PKCS #11 v3.0 (pkcs11t.h).
const classOf = { public: 2, private: 3 } as const;
const attribute = {
  class: 0x000,
  token: 0x001,
  private: 0x002,
  label: 0x003,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  sign: 0x108,
  verify: 0x10a,
  extractable: 0x162,
  ecParams: 0x180,
  ecPoint: 0x181,
} as const;
const mechanism = { ecKeyPair: 0x1040, ecdsa: 0x1041 } as const;
const ecKey = 3;
const sessionFlags = 0x2 | 0x4;
const userType = 1;
const maxKeys = 256;

const curves = {
  'ecdsa-p256': { oid: '1.2.840.10045.3.1.7', digest: 'sha256', bytes: 32 },
  'ecdsa-p384': { oid: '1.3.132.0.34', digest: 'sha384', bytes: 48 },
} as const;
type Curve = keyof typeof curves;

/** Opens the token; `directory` (`<data>/pki/keys`) takes the certificates. @throws UserError when the package, the library, the token or the PIN is not there or not right */
export async function openPkcs11(settings: Pkcs11Settings, directory: string, log: Log): Promise<Pkcs11Keys> {
  const library = libraryOf(settings.module);
  const pin = await pinIn(settings.pinFile, log);
  try {
    library.C_Initialize();
    const session = openSession(library, settings, pin);
    await makePrivateDirectory(directory);
    const keys = new Pkcs11Keys(library, session, settings.keyLabel, directory);
    await keys.readCertificates();
    return keys;
  } catch (error) {
    library.close();
    if (error instanceof UserError) throw error;
    // The library's words name the call and its code, never the PIN.
    throw new UserError(`The HSM cannot be used: ${(error as Error).message}`, {
      where: settings.module,
      fix: 'check the token, and the PIN in pki.pkcs11.pinFile',
      cause: error,
    });
  }
}

function libraryOf(module: string): Library {
  let made: Library;
  try {
    // By require, so that it is also found where NODE_PATH says.
    const { PKCS11 } = createRequire(join(process.cwd(), 'heliograph.cjs'))('pkcs11js') as { readonly PKCS11: new () => Library };
    made = new PKCS11();
  } catch (error) {
    throw new UserError('The package for HSMs is not installed.', {
      where: 'pki.pkcs11',
      fix: 'npm install pkcs11js@2.1.7 where Heliograph is started, and allow its install script',
      cause: error,
    });
  }
  try {
    made.load(module);
    return made;
  } catch (error) {
    throw new UserError('The library of the HSM cannot be loaded.', { where: module, fix: 'check pki.pkcs11.module', cause: error });
  }
}

function openSession(library: Library, { slot, tokenLabel }: Pkcs11Settings, pin: string): Handle {
  const slots = library.C_GetSlotList(true);
  const found = slot === undefined ? slots.find((one) => library.C_GetTokenInfo(one).label.trim() === tokenLabel) : slots[slot];
  if (found === undefined) {
    throw new UserError('The HSM has no such token.', {
      where: slot === undefined ? `pki.pkcs11.tokenLabel: ${tokenLabel}` : `pki.pkcs11.slot: ${slot}`,
      fix: `there are ${slots.map((one) => library.C_GetTokenInfo(one).label.trim()).join(', ') || 'none'}`,
    });
  }
  const session = library.C_OpenSession(found, sessionFlags);
  library.C_Login(session, userType, pin);
  return session;
}

async function pinIn(path: string, log: Log): Promise<string> {
  if (await isReadableByOthers(path)) log.warn('pki.key.readable.by.others', { path, fix: `chmod 600 ${path}` });
  try {
    return (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new UserError('The PIN of the HSM cannot be read.', { where: path, fix: 'check pki.pkcs11.pinFile', cause: error });
  }
}

export class Pkcs11Keys implements AuthorityKeys {
  readonly kind = 'hsm';
  readonly #library: Library;
  readonly #session: Handle;
  readonly #label: string;
  readonly #directory: string;
  readonly #signers = new Map<string, Signer>();
  readonly #certificates = new Map<string, readonly string[]>();

  /** Use openPkcs11. */
  constructor(library: Library, session: Handle, label: string, directory: string) {
    this.#library = library;
    this.#session = session;
    this.#label = label;
    this.#directory = directory;
    for (const found of this.#find(classOf.public, [])) this.#take(found);
  }

  get ids(): readonly string[] {
    return [...this.#signers.keys()];
  }

  signer(id: string): Signer | undefined {
    return this.#signers.get(id);
  }

  certificates(id: string): readonly string[] {
    return this.#certificates.get(id) ?? [];
  }

  async create(algorithm: KeyAlgorithm): Promise<NewKey> {
    if (algorithm === 'ed25519') {
      throw new UserError('Keys of the HSM are P-256 or P-384.', { where: 'pki.algorithm', fix: 'choose ecdsa-p256 or ecdsa-p384' });
    }
    // Names the two halves of the pair; the id of the authority is not known before they are there.
    const id = createHash('sha256').update(`${this.#label} ${this.#signers.size} ${process.hrtime.bigint()}`).digest().subarray(0, 16);
    const both: Attribute[] = [
      { type: attribute.token, value: true },
      { type: attribute.label, value: this.#label },
      { type: attribute.id, value: id },
      { type: attribute.keyType, value: ecKey },
    ];
    const { publicKey } = this.#library.C_GenerateKeyPair(
      this.#session,
      { mechanism: mechanism.ecKeyPair },
      [
        ...both,
        { type: attribute.class, value: classOf.public },
        { type: attribute.verify, value: true },
        { type: attribute.ecParams, value: oid(curves[algorithm].oid) },
      ],
      [
        ...both,
        { type: attribute.class, value: classOf.private },
        { type: attribute.private, value: true },
        { type: attribute.sensitive, value: true },
        { type: attribute.extractable, value: false },
        { type: attribute.sign, value: true },
      ],
    );
    const signer = this.#take(publicKey);
    if (signer === undefined) throw new Error('a key made by the HSM cannot be found in it');
    const authorityId = authorityIdOf(signer.publicKey);
    return {
      id: authorityId,
      signer,
      keep: async (certificates) => {
        await writePrivateFile(join(this.#directory, `${authorityId}.crt`), certificates.join(''));
        this.#certificates.set(authorityId, certificates);
      },
    };
  }

  /** What stands beside the keys in files: certificates, which the HSM does not keep. */
  async readCertificates(): Promise<void> {
    for (const id of this.#signers.keys()) {
      const text = await readFile(join(this.#directory, `${id}.crt`), 'utf8').catch(() => '');
      this.#certificates.set(id, text.match(pemCertificate) ?? []);
    }
  }

  close(): void {
    this.#library.C_Finalize();
    this.#library.close();
  }

  #find(kind: number, more: readonly Attribute[]): Handle[] {
    const template = [{ type: attribute.class, value: kind }, { type: attribute.label, value: this.#label }, ...more];
    this.#library.C_FindObjectsInit(this.#session, template);
    try {
      const found = this.#library.C_FindObjects(this.#session, maxKeys) as Handle[] | Handle | undefined;
      return found === undefined ? [] : Array.isArray(found) ? found : [found];
    } finally {
      this.#library.C_FindObjectsFinal(this.#session);
    }
  }

  /** Makes a signer of a public key and the private one of the same id. */
  #take(publicHandle: Handle): Signer | undefined {
    const [id, params, point] = this.#library
      .C_GetAttributeValue(this.#session, publicHandle, [{ type: attribute.id }, { type: attribute.ecParams }, { type: attribute.ecPoint }])
      .map(({ value }) => value) as [Buffer, Buffer, Buffer];
    const algorithm = (Object.keys(curves) as Curve[]).find((name) => params.equals(oid(curves[name].oid)));
    const [key] = this.#find(classOf.private, [{ type: attribute.id, value: id }]);
    if (algorithm === undefined || key === undefined) return undefined;
    const raw = readDer(point, (reader) => contentOf(reader.take(tags.octetString)));
    if (raw === undefined) return undefined;
    const publicKey = sequence(sequence(oid('1.2.840.10045.2.1'), params), bits(raw));
    createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
    const signer: Signer = { algorithm, publicKey, sign: async (data) => this.#sign(algorithm, key, data) };
    this.#signers.set(authorityIdOf(publicKey), signer);
    return signer;
  }

  #sign(algorithm: Curve, key: Handle, data: Uint8Array): Buffer {
    const { digest, bytes } = curves[algorithm];
    this.#library.C_SignInit(this.#session, { mechanism: mechanism.ecdsa }, key);
    const signature = this.#library.C_Sign(this.#session, createHash(digest).update(data).digest(), Buffer.alloc(2 * bytes));
    // PKCS #11 gives r and s side by side, X.509 wants a SEQUENCE (RFC 3279 §2.2.3).
    return sequence(integer(signature.subarray(0, bytes).toString('hex')), integer(signature.subarray(bytes).toString('hex')));
  }
}
