// What client and server agree on: the server's first choice among what both can do.

import { fail } from './alert.ts';
import type { DtlsCredential } from './endpoint.ts';
import { certificateTypes, type ClientHello } from './hello.ts';
import { dtls12 } from './record.ts';
import type { ResolvedSettings } from './settings.ts';
import { schemeFor, type SignatureScheme } from './signature-schemes.ts';
import { groups, type GroupName, type Suite } from './suites.ts';

export type CertificateForm = 'x509' | 'rawKey';

export type Agreed = {
  readonly suite: Suite;
  /** undefined: plain PSK. */
  readonly group: { readonly name: GroupName; readonly code: number } | undefined;
  /** undefined: with PSK. */
  readonly proof: { readonly credential: DtlsCredential; readonly scheme: SignatureScheme; readonly form: CertificateForm } | undefined;
  /** In which form the client shows its key; undefined: it is not asked. */
  readonly clientForm: CertificateForm | undefined;
};

/** What must hold of every hello, of one that resumes, too. @throws HandshakeEnd */
export function checkHello(hello: ClientHello, settings: ResolvedSettings): void {
  // Versions of DTLS count downwards, and all begin with 254.
  if (hello.version > dtls12 || hello.version >>> 8 !== dtls12 >>> 8) fail('protocol-version', 'parameters');
  if (settings.requireExtendedMasterSecret && !hello.hasExtendedMasterSecret) fail('handshake-failure', 'parameters');
}

/** @throws HandshakeEnd when nothing is common */
export function agree(hello: ClientHello, settings: ResolvedSettings): Agreed {
  // RFC 8422 §4: a client that names no groups leaves the choice to the server.
  const group = settings.groups.find(({ code }) => hello.groups?.includes(code) ?? true);
  const credentials = credentialsFor(hello, settings);
  for (const suite of settings.suites) {
    if (!hello.suites.includes(suite.code)) continue;
    if (suite.exchange === 'psk' || suite.exchange === 'ecdhe-psk') {
      if (settings.psk === undefined || (suite.exchange === 'ecdhe-psk' && group === undefined)) continue;
      return { suite, group: suite.exchange === 'psk' ? undefined : group, proof: undefined, clientForm: undefined };
    }
    const form = chosenForm(hello.serverCertificateTypes, settings);
    if (group === undefined || form === undefined) continue;
    for (const credential of credentials) {
      const { keyType } = credential.signer;
      const scheme = schemeFor(keyType, hello.signatureAlgorithms);
      if (scheme === undefined || (suite.exchange === 'ecdhe-rsa') !== (keyType === 'rsa')) continue;
      return { suite, group, proof: { credential, scheme, form }, clientForm: clientFormOf(hello, settings) };
    }
  }
  return fail('handshake-failure', 'parameters');
}

/** Those for the name that the client asks for, or the first; without those whose curve the client does not know (RFC 8422 §5.1). */
function credentialsFor(hello: ClientHello, { credentials }: ResolvedSettings): readonly DtlsCredential[] {
  const named = credentials.filter(({ matches }) => hello.serverName !== undefined && matches?.(hello.serverName) === true);
  return (named.length > 0 ? named : credentials.slice(0, 1)).filter(({ signer: { curve } }) => {
    return curve === undefined || hello.groups === undefined || hello.groups.includes(groups[curve]);
  });
}

function clientFormOf(hello: ClientHello, settings: ResolvedSettings): CertificateForm | undefined {
  if (settings.clientCertificate === 'none') return undefined;
  // RFC 7250 §4.2.
  return chosenForm(hello.clientCertificateTypes, settings) ?? fail('unsupported-certificate', 'parameters');
}

/** The client's order counts (RFC 7250 §4.1). */
function chosenForm(offered: readonly number[] | undefined, settings: ResolvedSettings): CertificateForm | undefined {
  if (offered === undefined) return 'x509';
  for (const type of offered) {
    if (type === certificateTypes.x509) return 'x509';
    if (type === certificateTypes.rawPublicKey && settings.rawPublicKeys) return 'rawKey';
  }
  return undefined;
}
