// Authorities for tests behind the contract of Pki, as far as revocation asks for them.

import type { AuthorityRole, AuthorityStatus } from '../../../registry/entries.ts';
import { systemScope } from '../../../registry/entries.ts';
import type { AuthorityView, Signer } from '../pki.ts';
import type { AuthoritySource } from '../revocation/own-authorities.ts';
import type { Made } from './made-certificates.ts';

type Kept = { readonly made: Made; readonly role: AuthorityRole; readonly tenant: string; status: AuthorityStatus; hasKey: boolean };

export class TestPki implements AuthoritySource {
  readonly #kept = new Map<string, Kept>();
  readonly #listeners = new Set<() => void>();

  add(made: Made, more: Partial<Pick<Kept, 'role' | 'tenant' | 'status' | 'hasKey'>> = {}): this {
    this.#kept.set(made.facts.keyId, { made, role: 'issuing', tenant: systemScope, status: 'active', hasKey: true, ...more });
    this.#tell();
    return this;
  }

  change(made: Made, to: Partial<Pick<Kept, 'status' | 'hasKey'>>): void {
    Object.assign(this.#kept.get(made.facts.keyId)!, to);
    this.#tell();
  }

  get authorities(): readonly AuthorityView[] {
    return [...this.#kept].map(([id, { made, role, tenant, status, hasKey }]) => ({
      id,
      role,
      status,
      tenant,
      certificate: made.pem,
      subject: made.x509.subject,
      issuer: made.issuer?.facts.keyId,
      notBeforeMs: made.facts.notBeforeMs,
      notAfterMs: made.facts.notAfterMs,
      hasKey,
    }));
  }

  get clientAnchors(): readonly string[] {
    return [...this.#kept.values()].filter(({ status }) => status === 'active' || status === 'retiring').map(({ made }) => made.pem);
  }

  signerOf(id: string): Signer | undefined {
    const kept = this.#kept.get(id);
    return kept?.hasKey === true ? kept.made.signer : undefined;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
