// TLS in front of a listener: which certificate for which name, what is asked of clients, and how handshakes fail.

import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContext, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { UserError } from '../base/user-error.ts';
import type { CertificateFault, HandshakeGuard, HandshakeVerdict, PeerCertificate } from '../security/security.ts';
import { plainAddress } from './address.ts';
import type { HandshakeFailure } from './counters.ts';
import { keepPeerChains } from './peer-chain.ts';
import { PskHandshakes, pskSecureOptions, type PskSettings } from './psk.ts';
import { profileFault, tlsParameters, type TlsProfile } from './tls-profile.ts';

export type TlsCertificate = {
  /** PEM: the server's own first, then its issuers. */
  readonly certificate: string;
  /** PEM, without passphrase. */
  readonly privateKey: string;
  /** Host names (SNI) that get it, `*.example.com` for every name one level below; empty: those in the certificate. */
  readonly serverNames: readonly string[];
};

export type TlsSettings = {
  /** At least one; the first is for clients that name no host, or an unknown one. */
  readonly certificates: readonly TlsCertificate[];
  /** Oldest version that is accepted; 1.3 when absent. */
  readonly minVersion?: '1.2' | '1.3';
  /** What may be agreed on; absent: default. */
  readonly profile?: TlsProfile;
  /** Groups of the key exchange, the most wanted first; absent: those of the profile. */
  readonly groups?: readonly string[];
  /** Absent: pre-shared keys are not accepted. */
  readonly psk?: PskSettings;
  /** Nothing is asked for; it is checked when the client has one; every client needs one. A wrong one is always refused. */
  readonly clientCertificate: 'none' | 'request' | 'require';
  /** PEM: who may issue client certificates. */
  readonly clientCas: readonly string[];
  /** Reads what a verified certificate says; from `security`, which decides what counts. */
  readonly describeCertificate: (certificate: X509Certificate) => PeerCertificate;
  /** Decides on certificates that TLS has verified; absent: they are taken. */
  readonly guard?: HandshakeGuard;
};

export type TlsEvents = {
  /** A handshake is done. */
  secured(socket: TLSSocket, peer: PeerCertificate | undefined, pskIdentity: string | undefined): void;
  /** A handshake failed; its socket is destroyed when this returns. `fault`: of the client's certificate. */
  failed(socket: TLSSocket, kind: HandshakeFailure, fault?: CertificateFault): void;
};

export type TlsDoorOptions = {
  readonly listener: string;
  readonly alpn: readonly string[];
};

const neverMs = 0x7fff_ffff;

type NamedContext = { readonly matches: (serverName: string) => boolean; readonly context: SecureContext };

export class TlsDoor {
  readonly #options: TlsDoorOptions;
  readonly #events: TlsEvents;
  #server: Server;

  /** @throws UserError when a certificate or key cannot be used */
  constructor(settings: TlsSettings, options: TlsDoorOptions, events: TlsEvents) {
    this.#options = options;
    this.#events = events;
    this.#server = this.#serverFor(settings);
  }

  /** Later handshakes use these settings; connections that are open keep theirs. @throws UserError; then nothing has changed */
  reload(settings: TlsSettings): void {
    this.#server = this.#serverFor(settings);
  }

  enter(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  /** A server that never listens: Node's way of doing handshakes on sockets that are handed to it. */
  #serverFor(settings: TlsSettings): Server {
    const contextFor = finderIn(contextsOf(settings, this.#options.listener));
    const psk = settings.psk && new PskHandshakes(settings.psk);
    const server = createServer({
      ...psk?.options,
      ...contextOptions(settings, settings.certificates[0]!),
      ALPNProtocols: [...this.#options.alpn],
      // PendingHandshakes has a timer that covers what comes after TLS, too.
      handshakeTimeout: neverMs,
      requestCert: settings.clientCertificate !== 'none',
      // With `request` a client without a certificate is let through here, and one with a wrong certificate is refused below.
      rejectUnauthorized: settings.clientCertificate === 'require',
      SNICallback: (serverName, done) => done(null, contextFor(serverName)),
    });
    server.on('secureConnection', (socket) => this.#secured(socket, settings, psk?.provedBy(socket)));
    server.on('tlsClientError', (error, socket) => {
      const kind = psk?.wasAsked(socket) === true && wrongKey.test(codeOf(error)) ? 'psk' : failureOf(error, socket);
      if (kind === 'psk') settings.psk?.refused?.(this.#origin(socket));
      if (kind === 'parameters') settings.guard?.unagreed?.(this.#origin(socket));
      this.#failed(socket, kind, kind === 'certificate' ? faultOf(socket, error) : undefined, settings);
    });
    return server;
  }

  #secured(socket: TLSSocket, settings: TlsSettings, pskIdentity: string | undefined): void {
    if (settings.clientCertificate === 'none' || pskIdentity !== undefined) {
      this.#events.secured(socket, undefined, pskIdentity);
      return;
    }
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) {
      this.#events.secured(socket, undefined, undefined);
      return;
    }
    if (!socket.authorized) {
      this.#failed(socket, 'certificate', faultOf(socket), settings, certificate);
      return;
    }
    const { guard } = settings;
    if (guard === undefined) {
      this.#events.secured(socket, settings.describeCertificate(certificate), undefined);
      return;
    }
    const verdict = guard.admit(certificate, this.#origin(socket));
    if (!(verdict instanceof Promise)) {
      this.#decided(socket, verdict);
      return;
    }
    const ignore = (): void => {};
    socket.on('error', ignore);
    void verdict.then((found) => {
      socket.off('error', ignore);
      // The peer may have gone, or the time for handshakes be over.
      if (!socket.destroyed) this.#decided(socket, found);
    });
  }

  #decided(socket: TLSSocket, verdict: HandshakeVerdict): void {
    if (verdict.ok) this.#events.secured(socket, verdict.certificate, undefined);
    else this.#refuse(socket, 'certificate', verdict.fault);
  }

  /** `fault`: TLS has refused the certificate. The guard keeps the record. */
  #failed(
    socket: TLSSocket,
    kind: HandshakeFailure,
    fault: CertificateFault | undefined,
    { guard }: TlsSettings,
    certificate?: X509Certificate,
  ): void {
    if (fault !== undefined) guard?.refused(fault, certificate, this.#origin(socket));
    this.#refuse(socket, kind, fault);
  }

  #refuse(socket: TLSSocket, kind: HandshakeFailure, fault: CertificateFault | undefined): void {
    // From here on errors are ours; nobody listens to this socket any more.
    socket.on('error', () => {});
    this.#events.failed(socket, kind, fault);
    socket.destroy();
  }

  #origin(socket: TLSSocket) {
    return { listener: this.#options.listener, remoteAddress: plainAddress(socket.remoteAddress ?? '') };
  }
}

export type ServerContexts = {
  /** What a server is told for who names no host, or an unknown one. */
  readonly first: SecureContextOptions;
  /** By the host name that a client asks for (SNI); undefined: `first`. */
  readonly contextFor: (serverName: string) => SecureContext | undefined;
};

/** For a server of Node that does its handshakes itself. @throws UserError when a certificate or key cannot be used */
export function serverContexts(settings: TlsSettings, listener: string): ServerContexts {
  const contexts = contextsOf(settings, listener);
  return { first: contextOptions(settings, settings.certificates[0]!), contextFor: finderIn(contexts) };
}

function finderIn(contexts: readonly NamedContext[]): ServerContexts['contextFor'] {
  return (serverName) => {
    const name = serverName.toLowerCase();
    return contexts.find(({ matches }) => matches(name))?.context;
  };
}

function contextOptions(settings: TlsSettings, { certificate, privateKey }: TlsCertificate) {
  return {
    cert: certificate,
    key: privateKey,
    minVersion: settings.minVersion === '1.2' ? ('TLSv1.2' as const) : ('TLSv1.3' as const),
    ...tlsParameters(settings.profile ?? 'default', settings.groups, settings.psk !== undefined),
    ...(settings.psk !== undefined && { secureOptions: pskSecureOptions }),
    // Without a list of its own Node would trust every public authority to name our clients.
    ...(settings.clientCertificate === 'none' ? {} : { ca: [...settings.clientCas] }),
  };
}

function contextsOf(settings: TlsSettings, listener: string): NamedContext[] {
  keepPeerChains();
  const where = `listener ${listener}`;
  if (settings.certificates.length === 0) throw new UserError('TLS needs a certificate.', { where, fix: 'name one in tls.certificates' });
  if (settings.clientCertificate !== 'none' && settings.clientCas.length === 0) {
    throw new UserError('Client certificates are asked for, but nobody is trusted to issue them.', { where, fix: 'set tls.clientCaFile' });
  }
  return settings.certificates.map((certificate, i) => {
    const { profile = 'default' } = settings;
    try {
      const unfit = profileFault(profile, new X509Certificate(certificate.certificate));
      if (unfit !== undefined) throw new UserError(unfit);
      const context = createSecureContext(contextOptions(settings, certificate));
      return { matches: nameMatcher(certificate), context };
    } catch (error) {
      // OpenSSL's words name the mismatch and never hold a key.
      throw new UserError(`TLS certificate ${i + 1} and its key cannot be used: ${(error as Error).message}`, {
        where,
        fix: error instanceof UserError ? 'take another key, or another tls.profile' : 'check that both are PEM and belong together',
        cause: error,
      });
    }
  });
}

export function nameMatcher({ certificate, serverNames }: TlsCertificate): (name: string) => boolean {
  if (serverNames.length === 0) {
    const parsed = new X509Certificate(certificate);
    return (name) => parsed.checkHost(name) !== undefined;
  }
  const names = new Set(serverNames.map((name) => name.toLowerCase()));
  return (name) => names.has(name) || names.has(`*.${name.slice(name.indexOf('.') + 1)}`);
}

/** OpenSSL's reasons for which the two sides have nothing in common. */
const parameterProblems =
  /UNSUPPORTED_PROTOCOL|NO_SHARED|NO_SUITABLE|NO_APPLICATION_PROTOCOL|WRONG_VERSION|ALERT_PROTOCOL_VERSION|VERSION_TOO_LOW/;
/** The client says with an alert that it does not accept our certificate. */
const distrust = /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_\w+|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED)/;

/** What a wrong pre-shared key looks like: TLS 1.3 checks a binder, TLS 1.2 the first record. */
const wrongKey = /BINDER_DOES_NOT_VERIFY|BAD_RECORD_MAC|DIGEST_CHECK_FAILED|DECRYPT_ERROR/;

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

/** What became of a handshake that failed on a server of Node. */
export function failureOf(error: Error, socket: TLSSocket): HandshakeFailure {
  const { code = '' } = error as NodeJS.ErrnoException;
  // Set when the handshake went through and the client's certificate then did not verify. Its type hides that it may be null.
  if (socket.authorizationError) return 'certificate';
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'reset';
  if (distrust.test(code)) return 'distrusted';
  if (code.includes('CERTIFICATE')) return 'certificate';
  if (parameterProblems.test(code)) return 'parameters';
  return 'protocol';
}

/** Node's names for what OpenSSL found wrong with a client's certificate. */
const faults: Readonly<Record<string, CertificateFault>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  CERT_SIGNATURE_FAILURE: 'bad-signature',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown-authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown-authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown-authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown-authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown-authority',
  CERT_UNTRUSTED: 'unknown-authority',
  INVALID_CA: 'unknown-authority',
  INVALID_PURPOSE: 'wrong-usage',
  PATH_LENGTH_EXCEEDED: 'path-too-long',
  CERT_CHAIN_TOO_LONG: 'path-too-long',
  CERT_REVOKED: 'revoked',
};

/** Why the client's certificate was not taken. `error`: of a handshake that failed. */
export function faultOf(socket: TLSSocket, error?: Error): CertificateFault {
  const { code = '' } = (error ?? {}) as NodeJS.ErrnoException;
  if (code.includes('PEER_DID_NOT_RETURN_A_CERTIFICATE')) return 'missing';
  const known = faults[String(socket.authorizationError)];
  if (known !== undefined) return known;
  // Node has no name for it, but OpenSSL's words: "permitted subtree violation". Undocumented, so it may be gone one day.
  const handle = (socket as { readonly _handle?: { verifyError?(): Error | null } | null })._handle;
  return /subtree violation/.test(handle?.verifyError?.()?.message ?? '') ? 'name-not-permitted' : 'other';
}
