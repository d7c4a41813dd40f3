// Alerts of TLS (RFC 5246 §7.2), and the one thing that is thrown in this room: the end of a handshake. The handshake catches it.

import type { AdmissionAlert, HandshakeFailureReason } from './endpoint.ts';

export const alertCodes = {
  'close-notify': 0,
  'unexpected-message': 10,
  'handshake-failure': 40,
  'bad-certificate': 42,
  'unsupported-certificate': 43,
  'certificate-revoked': 44,
  'certificate-expired': 45,
  'certificate-unknown': 46,
  'illegal-parameter': 47,
  'unknown-ca': 48,
  'access-denied': 49,
  'decode-error': 50,
  'decrypt-error': 51,
  'protocol-version': 70,
  'internal-error': 80,
  'no-renegotiation': 100,
  'unknown-psk-identity': 115,
} as const satisfies Record<AdmissionAlert, number> & Record<string, number>;

export type AlertName = keyof typeof alertCodes;

export const alertLevels = { warning: 1, fatal: 2 } as const;

export class HandshakeEnd extends Error {
  readonly alert: AlertName;
  readonly reason: HandshakeFailureReason;

  constructor(alert: AlertName, reason: HandshakeFailureReason) {
    super(alert);
    this.alert = alert;
    this.reason = reason;
  }
}

export function fail(alert: AlertName, reason: HandshakeFailureReason): never {
  throw new HandshakeEnd(alert, reason);
}

export function alertBody(alert: AlertName, level: keyof typeof alertLevels): Uint8Array {
  return Uint8Array.of(alertLevels[level], alertCodes[alert]);
}

/** The client says that it does not take our certificate: bad_certificate to unknown_ca, and access_denied. */
export function isDistrust(code: number): boolean {
  return (code >= 42 && code <= 46) || code === 48 || code === 49;
}
