// The own authorities, as their lists and answers are made from: facts of each, found by id or as OCSP names them.

import { X509Certificate } from 'node:crypto';
import { systemScope } from '../../../registry/entries.ts';
import { certificateFacts, type CertificateFacts } from '../certificate-facts.ts';
import type { AuthorityView, Pki, Signer } from '../pki.ts';
import { issuerHashes, nameDigests, type CertificateId } from './ocsp-format.ts';

export type OwnAuthority = {
  readonly view: AuthorityView;
  readonly facts: CertificateFacts;
  readonly der: Buffer;
  /** RFC 5280 §4.2.1.1: as it stands in its certificate, else the SHA-1 of its key. */
  readonly keyId: Uint8Array;
};

export type AuthoritySource = Pick<Pki, 'authorities' | 'signerOf' | 'subscribe'>;

export class OwnAuthorities {
  readonly #pki: AuthoritySource;
  readonly #byId = new Map<string, OwnAuthority>();
  readonly #byHash = new Map<string, OwnAuthority>();
  #stop: (() => void) | undefined;

  constructor(pki: AuthoritySource) {
    this.#pki = pki;
    this.#stop = pki.subscribe(() => this.#read());
    this.#read();
  }

  get all(): Iterable<OwnAuthority> {
    return this.#byId.values();
  }

  get(id: string): OwnAuthority | undefined {
    return this.#byId.get(id);
  }

  named({ digest, nameHash, keyHash }: CertificateId): OwnAuthority | undefined {
    const name = nameDigests[digest];
    return name && this.#byHash.get(hashKey(name, nameHash, keyHash));
  }

  signerOf(id: string): Signer | undefined {
    return this.#pki.signerOf(id);
  }

  close(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #read(): void {
    this.#byId.clear();
    this.#byHash.clear();
    for (const view of this.#pki.authorities) {
      if (view.tenant !== systemScope || view.role === 'foreign') continue;
      const own = ownAuthority(view);
      if (own === undefined) continue;
      this.#byId.set(view.id, own);
      for (const digest of Object.values(nameDigests)) {
        const { name, key } = issuerHashes(own.facts, digest);
        this.#byHash.set(hashKey(digest, name, key), own);
      }
    }
  }
}

function ownAuthority(view: AuthorityView): OwnAuthority | undefined {
  try {
    const der = new X509Certificate(view.certificate).raw;
    const facts = certificateFacts(der);
    return facts && { view, facts, der, keyId: facts.subjectKeyId ?? issuerHashes(facts, 'sha1').key };
  } catch {
    return undefined;
  }
}

function hashKey(digest: string, name: Uint8Array, key: Uint8Array): string {
  return `${digest} ${Buffer.from(name).toString('hex')} ${Buffer.from(key).toString('hex')}`;
}

/** Where the material of an authority is found below the public address of a `pki` listener. */
export function publishedUrls(publicUrl: string, authorityId: string) {
  const base = publicUrl.replace(/\/+$/, '');
  return {
    crl: `${base}/crl/${authorityId}.crl`,
    delta: `${base}/crl/${authorityId}-delta.crl`,
    ocsp: `${base}/ocsp`,
    certificate: `${base}/ca/${authorityId}.crt`,
  };
}
