// The contract between enrolment and a protocol that carries EST in binary (EST over CoAP, RFC 9148): what can be asked, by whom, and
// what comes back as DER.

import type { PeerCertificate } from '../../security.ts';
import type { EnrolmentResult } from './enrolment.ts';

/** Who asks: what the path has proved. */
export type EstAsker = {
  readonly listener: string;
  readonly remoteAddress: string;
  /** Verified at the handshake. */
  readonly certificate: PeerCertificate | undefined;
};

export type EstCertificates = {
  /** PKCS #7 with certificates only. */
  readonly certsOnly: Uint8Array;
  /** The certificate, where it is one. */
  readonly single: Uint8Array | undefined;
};

export type EstCertificatesWithKey = EstCertificates & {
  /** PKCS #8. */
  readonly privateKey: Uint8Array;
};

export type EstQuestion = {
  readonly operation: 'enrol' | 'renew';
  /** PKCS #10. */
  readonly request: Uint8Array;
  /** The label of the path (RFC 7030 §3.2.2): only for this tenant. */
  readonly tenant: string | undefined;
  readonly asker: EstAsker;
};

export interface EstDoor {
  /** The own authorities that are trusted; undefined: there is none yet. */
  authorities(): EstCertificates | undefined;
  /** CsrAttrs. */
  attributes(): Uint8Array;
  /** Keys are made for devices here. */
  readonly makesKeys: boolean;
  enrol(question: EstQuestion): Promise<EnrolmentResult<EstCertificates>>;
  /** Like `enrol`, for a key that is made here and kept nowhere. */
  enrolWithNewKey(question: EstQuestion): Promise<EnrolmentResult<EstCertificatesWithKey>>;
}
