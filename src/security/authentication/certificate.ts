// Mutual TLS: the certificate was verified at the handshake; here it is found whom it names.

import type { LookUps } from '../../registry/registry.ts';
import { identityOf } from '../peer-certificate.ts';
import type { CertificateRule } from '../peer-certificate.ts';
import type { Credentials, PeerCertificate } from '../security.ts';
import type { Authenticator, Identity, Verdict } from './authenticator.ts';
import { whenKnown } from './now-or-later.ts';

export type CertificatePolicy = {
  /**
   * Where a certificate's principal is looked for, in this order: in its URI `heliograph:tenant/name`, in its common name, in
   * the registry by its fingerprint.
   */
  readonly rules: readonly CertificateRule[];
  readonly roles: readonly string[];
  /** The tenant of principals that are found by common name. */
  readonly commonNameTenant: string;
};

export class CertificateAuthenticator implements Authenticator {
  readonly method = 'certificate';
  readonly #policy: () => CertificatePolicy;
  readonly #lookUps: LookUps | undefined;

  constructor(policy: () => CertificatePolicy, lookUps: LookUps | undefined) {
    this.#policy = policy;
    this.#lookUps = lookUps;
  }

  authenticate({ certificate }: Credentials, answer: (verdict: Verdict) => void): void {
    if (certificate === undefined) return answer({ kind: 'next' });
    this.#ask(certificate, 0, answer);
  }

  /** Whether the certificate still counts is known to the registry, which the chain asks. */
  reassess(identity: Identity): Identity {
    return { ...identity, roles: identity.kind === 'device' ? this.#policy().roles : [] };
  }

  #ask(certificate: PeerCertificate, from: number, answer: (verdict: Verdict) => void): void {
    const { rules, commonNameTenant, roles } = this.#policy();
    for (let i = from; i < rules.length; i++) {
      const rule = rules[i]!;
      if (rule === 'fingerprint') {
        if (this.#lookUps === undefined) continue;
        return this.#askRegistry(certificate, this.#lookUps, (verdict) => {
          if (verdict === undefined) this.#ask(certificate, i + 1, answer);
          else answer(verdict);
        });
      }
      const found = identityOf(certificate, [rule], commonNameTenant);
      if (found === 'unclear') break;
      if (found !== undefined) return answer({ kind: 'proved', identity: { ...found, kind: 'device', roles } });
    }
    answer({ kind: 'next', reason: 'certificate-names-nobody' });
  }

  /** The owner in the registry; undefined when it knows none. */
  #askRegistry({ fingerprint }: PeerCertificate, lookUps: LookUps, answer: (verdict: Verdict | undefined) => void): void {
    const asked = whenKnown(lookUps.certificate(fingerprint), (found): Verdict | undefined => {
      if (!found.ok) return { kind: 'overloaded' };
      const owner = found.value?.owner;
      if (found.value === undefined || owner === undefined) return undefined;
      const roles = owner.kind === 'device' ? this.#policy().roles : [];
      return { kind: 'proved', identity: { tenant: found.value.tenant, id: owner.id, kind: owner.kind, roles } };
    });
    if (asked instanceof Promise) asked.then(answer, () => answer({ kind: 'overloaded' }));
    else answer(asked);
  }
}
