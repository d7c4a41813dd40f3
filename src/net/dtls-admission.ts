// Who may come in by DTLS: by which key, by which certificate. The same is asked as for TLS (tls.ts), of certificates that TLS here
// would have verified itself; and it is asked again when a session is resumed, because much may have changed since it began.

import { createHash, createSecretKey, X509Certificate, type KeyObject } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { WireFacts } from '../protocols/protocol.ts';
import type { CertificateFault, HandshakeGuard, HandshakeOrigin, HandshakeVerdict, PeerCertificate } from '../security/security.ts';
import type { Admission, AdmissionAlert, DtlsIdentity, PskAnswer } from './dtls/endpoint.ts';

type NowOrLater<T> = T | Promise<T>;

export type PathVerdict =
  | { readonly ok: true; readonly certificate: X509Certificate }
  | { readonly ok: false; readonly fault: CertificateFault; readonly certificate: X509Certificate | undefined };

export type DtlsAdmissionSettings = {
  /** Do the certificates (DER, the peer's own first) lead to somebody who is trusted? Never throws. */
  readonly verify: (chain: readonly Uint8Array[], nowMs: number) => PathVerdict;
  /** Reads what a verified certificate says. */
  readonly describeCertificate: (certificate: X509Certificate) => PeerCertificate;
  /** Decides on certificates that are verified; absent: they are taken. */
  readonly guard?: HandshakeGuard;
  /** Absent: pre-shared keys are not accepted. */
  readonly psk?: {
    /** undefined: not one of ours. Never rejects. */
    readonly keyOf: (identity: string) => NowOrLater<Uint8Array | undefined>;
    /** Somebody named an identity that nobody has, or had not its key. */
    readonly refused?: (origin: HandshakeOrigin) => void;
  };
};

/** What is kept with a session that was opened by a certificate: enough to judge it again. */
type CertificateSubject = { readonly described: PeerCertificate; readonly der: Uint8Array };

type Judged = Admission & { readonly fault?: CertificateFault };

const alerts: Readonly<Record<CertificateFault, AdmissionAlert>> = {
  missing: 'bad-certificate',
  malformed: 'bad-certificate',
  'bad-signature': 'bad-certificate',
  expired: 'certificate-expired',
  'not-yet-valid': 'certificate-expired',
  'unknown-authority': 'unknown-ca',
  'wrong-usage': 'unsupported-certificate',
  'path-too-long': 'unknown-ca',
  'name-not-permitted': 'certificate-unknown',
  revoked: 'certificate-revoked',
  'authority-retired': 'unknown-ca',
  'owner-disabled': 'access-denied',
  undetermined: 'certificate-unknown',
  other: 'certificate-unknown',
};

export class DtlsAdmission {
  readonly #settings: DtlsAdmissionSettings;
  readonly #listener: string;
  readonly #clock: Clock;

  constructor(settings: DtlsAdmissionSettings, listener: string, clock: Clock) {
    this.#settings = settings;
    this.#listener = listener;
    this.#clock = clock;
  }

  /** `chain`: the peer has proved that it has the key of the first. */
  certificate(chain: readonly Uint8Array[], remoteAddress: string): NowOrLater<Judged> {
    const { guard, verify, describeCertificate } = this.#settings;
    const from = this.#origin(remoteAddress);
    const found = verify(chain, this.#clock.wallMs());
    if (!found.ok) {
      guard?.refused(found.fault, found.certificate, from);
      return { ok: false, alert: alerts[found.fault], fault: found.fault };
    }
    const { certificate } = found;
    const verdict = guard?.admit(certificate, from) ?? { ok: true, certificate: describeCertificate(certificate) };
    return after(verdict, (judged) => this.#admitted(judged, certificate.raw));
  }

  #admitted(verdict: HandshakeVerdict, der: Uint8Array): Judged {
    if (!verdict.ok) return { ok: false, alert: alerts[verdict.fault], fault: verdict.fault };
    const { certificate: described } = verdict;
    const subject: CertificateSubject = { described, der };
    return { ok: true, subject, validForMs: (described.notAfterMs ?? Infinity) - this.#clock.wallMs() };
  }

  psk(identity: Uint8Array): NowOrLater<PskAnswer | undefined> {
    return after(this.#keyOf(identity), (key) => key && { key, subject: key });
  }

  #keyOf(identity: Uint8Array): NowOrLater<KeyObject | undefined> {
    const text = textOf(identity);
    if (text === undefined) return undefined;
    return after(this.#settings.psk?.keyOf(text), (bytes) => (bytes === undefined ? undefined : createSecretKey(bytes)));
  }

  /** Is what was true when the session began still true? */
  mayResume(identity: DtlsIdentity, remoteAddress: string): NowOrLater<boolean> {
    if (identity.kind === 'psk') {
      const before = identity.subject as KeyObject;
      return after(this.#keyOf(identity.identity), (key) => key?.equals(before) === true);
    }
    const { guard } = this.#settings;
    if (identity.kind !== 'certificate' || guard === undefined) return true;
    const { der } = identity.subject as CertificateSubject;
    return after(guard.admit(new X509Certificate(der), this.#origin(remoteAddress)), ({ ok }) => ok);
  }

  /** What a protocol is told of the peer. */
  factsOf(identity: DtlsIdentity): Pick<WireFacts, 'peerCertificate' | 'pskIdentity' | 'pskKeyHash' | 'rawPublicKey'> {
    switch (identity.kind) {
      case 'certificate':
        return { peerCertificate: (identity.subject as CertificateSubject).described };
      case 'psk':
        return { peerCertificate: undefined, pskIdentity: textOf(identity.identity)!, pskKeyHash: hashOf(identity.subject as KeyObject) };
      case 'rawKey':
        return { peerCertificate: undefined, rawPublicKey: identity.fingerprint };
      case 'none':
        return { peerCertificate: undefined };
    }
  }

  /** A handshake failed before anything was asked here. */
  failed(reason: 'parameters' | 'psk' | 'certificate', remoteAddress: string, fault: CertificateFault): void {
    const { guard, psk } = this.#settings;
    const from = this.#origin(remoteAddress);
    if (reason === 'psk') psk?.refused?.(from);
    else if (reason === 'parameters') guard?.unagreed?.(from);
    else guard?.refused(fault, undefined, from);
  }

  #origin(remoteAddress: string): HandshakeOrigin {
    return { listener: this.#listener, remoteAddress };
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** RFC 4279 §5.1: identities are UTF-8. undefined: it is not, so it is nobody's. */
function textOf(identity: Uint8Array): string | undefined {
  try {
    return utf8.decode(identity);
  } catch {
    return undefined;
  }
}

function hashOf(key: KeyObject): string {
  const bytes = key.export();
  const hash = createHash('sha256').update(bytes).digest('hex');
  bytes.fill(0);
  return hash;
}

export function after<T, U>(value: NowOrLater<T>, then: (value: T) => U): NowOrLater<U> {
  return value instanceof Promise ? value.then(then) : then(value);
}
