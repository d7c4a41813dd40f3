// Why a peer's bytes are refused. A value, never thrown: what a peer sends is an expected input.

import { ReasonCode } from './reason-codes.ts';
import type { Version } from './packets.ts';

export class DecodeError {
  readonly reason: ReasonCode;
  /** What is wrong, for logs and for the reason string; holds nothing that the peer sent. */
  readonly message: string;
  /** CONNECT only: the version in whose words to answer; undefined: close without an answer. */
  readonly version: Version | undefined;

  constructor(reason: ReasonCode, message: string, version?: Version) {
    this.reason = reason;
    this.message = message;
    this.version = version;
  }
}

export function malformed(message: string): DecodeError {
  return new DecodeError(ReasonCode.malformedPacket, message);
}

export function protocolError(message: string): DecodeError {
  return new DecodeError(ReasonCode.protocolError, message);
}
