// Whom a certificate that was shown at a handshake makes its holder: what the listeners would make of it, and what the registry knows
// of the certificate itself. TLS has verified it already.

import type { OwnerKind } from '../../../registry/entries.ts';
import type { LookUps } from '../../../registry/registry.ts';
import type { AuthenticationResult, PeerCertificate, Security } from '../../security.ts';
import type { Holder } from './enrolment-desk.ts';
import { done, fault } from './enrolment.ts';
import type { EnrolmentResult } from './enrolment.ts';

export type Shown = { readonly certificate: PeerCertificate; readonly listener: string; readonly remoteAddress: string };

export type HolderOf = (shown: Shown) => Promise<EnrolmentResult<Holder>>;

export function holderIn(security: Pick<Security, 'authenticate'>, lookUps: Pick<LookUps, 'certificate'>): HolderOf {
  return async ({ certificate, listener, remoteAddress }) => {
    const found = await lookUps.certificate(certificate.fingerprint);
    if (!found.ok) return fault('unavailable', 'the registry cannot answer now', { retryAfterMs: 5000 });
    const known = found.value;
    if (known?.status === 'revoked') return fault('wrong-certificate', 'the certificate has been revoked');
    if (known !== undefined && known.owner === undefined) return fault('wrong-certificate', 'the certificate is not a peer’s');
    const result = await new Promise<AuthenticationResult>((resolve) => {
      const clientId = certificate.commonName ?? '';
      const nothing = { username: undefined, password: undefined };
      security.authenticate({ listener, remoteAddress, secure: true, clientId, certificate, ...nothing }, resolve);
    });
    if (!result.ok) {
      if (result.reason === 'refused') return fault('wrong-certificate', 'the certificate is not accepted here');
      return fault(result.reason === 'banned' ? 'rate-limited' : 'busy', 'not now', { retryAfterMs: 5000 });
    }
    const { tenant, id, kind, access } = result.principal;
    // Where everybody may come in, a certificate that names nobody still names nobody.
    if (kind === 'anonymous' || (access !== undefined && access.method !== 'certificate')) {
      return fault('wrong-certificate', 'the certificate names nobody here');
    }
    if (known !== undefined && (known.tenant !== tenant || known.owner?.id !== id)) {
      return fault('wrong-certificate', 'the certificate is somebody else’s');
    }
    const owner = known?.owner ?? { kind: kind satisfies OwnerKind, id };
    return done({ tenant, owner, method: 'certificate', renews: certificate });
  };
}
