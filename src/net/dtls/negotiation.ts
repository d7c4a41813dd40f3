// What client and server agree on: the server's first choice among what both can do.

import { fail } from './alert.ts';
import type { DtlsCredential } from './endpoint.ts';
import { certificateTypes, type ClientHello } from './hello.ts';
import { dtls12 } from './record.ts';
import type { ResolvedSettings } from './settings.ts';
import { schemeFor, type SignatureScheme } from './signature-schemes.ts';
import type { GroupName, Suite } from './suites.ts';

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
  // Versions of DTLS count downwards.
  if (hello.version > dtls12) fail('protocol-version', 'parameters');
  if (settings.requireExtendedMasterSecret && !hello.hasExtendedMasterSecret) fail('handshake-failure', 'parameters');
}

/** @throws HandshakeEnd when nothing is common */
export function agree(hello: ClientHello, settings: ResolvedSettings): Agreed {
  // RFC 8422 §4: a client that names no groups leaves the choice to the server.
  const group = settings.groups.find(({ code }) => hello.groups?.includes(code) ?? true);
  const credential =
    settings.credentials.find(({ matches }) => hello.serverName !== undefined && matches?.(hello.serverName) === true) ??
    settings.credentials[0];
  for (const suite of settings.suites) {
    if (!hello.suites.includes(suite.code)) continue;
    if (suite.exchange === 'psk' || suite.exchange === 'ecdhe-psk') {
      if (settings.psk === undefined || (suite.exchange === 'ecdhe-psk' && group === undefined)) continue;
      return { suite, group: suite.exchange === 'psk' ? undefined : group, proof: undefined, clientForm: undefined };
    }
    if (group === undefined || credential === undefined) continue;
    const { keyType } = credential.signer;
    if ((suite.exchange === 'ecdhe-rsa') !== (keyType === 'rsa')) continue;
    const scheme = schemeFor(keyType, hello.signatureAlgorithms);
    const form = chosenForm(hello.serverCertificateTypes, settings);
    if (scheme === undefined || form === undefined) continue;
    return { suite, group, proof: { credential, scheme, form }, clientForm: clientFormOf(hello, settings) };
  }
  return fail('handshake-failure', 'parameters');
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
