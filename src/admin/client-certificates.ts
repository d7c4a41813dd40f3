// Certificates of HTTPS clients, judged once for each connection, before its first request is looked at.

import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CertificateFault, HandshakeGuard, HandshakeVerdict, PeerCertificate } from '../security/security.ts';

export type ClientCertificateTerms = {
  readonly describe: (certificate: X509Certificate) => PeerCertificate;
  /** Why TLS did not verify it. */
  readonly faultOf: (socket: TLSSocket) => CertificateFault;
  /** Absent: what TLS has verified is taken. */
  readonly guard?: HandshakeGuard;
};

export class ClientCertificates {
  /** Promise: it is being judged. */
  readonly #found = new WeakMap<Socket, PeerCertificate | Promise<void>>();

  /** The handshake is done. A certificate that is not taken ends the connection. */
  secured(socket: TLSSocket, listener: string, { describe, faultOf, guard }: ClientCertificateTerms): void {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return;
    const from = { listener, remoteAddress: socket.remoteAddress ?? '' };
    if (!socket.authorized) {
      guard?.refused(faultOf(socket), certificate, from);
      socket.destroy();
      return;
    }
    if (guard === undefined) {
      this.#found.set(socket, describe(certificate));
      return;
    }
    const decided = (verdict: HandshakeVerdict): void => {
      if (verdict.ok) this.#found.set(socket, verdict.certificate);
      else socket.destroy();
    };
    const verdict = guard.admit(certificate, from);
    if (verdict instanceof Promise) this.#found.set(socket, verdict.then(decided));
    else decided(verdict);
  }

  /** Runs `proceed` when it is known who the client is; never when its certificate is not taken. */
  whenJudged(socket: Socket, proceed: () => void): void {
    const found = this.#found.get(socket);
    if (!(found instanceof Promise)) return proceed();
    void found.then(() => {
      if (!socket.destroyed) proceed();
    });
  }

  of(socket: Socket): PeerCertificate | undefined {
    const found = this.#found.get(socket);
    return found instanceof Promise ? undefined : found;
  }
}
