// What both ends of a connection have said of themselves (CSM, RFC 8323 §5.3; RFC 8974 §2.2.1).

import {
  baseMaxMessageSize,
  baseTokenBytes,
  type CoapOption,
  CsmOption,
  emptyOption,
  maxTokenBytes,
  uintOption,
  uintValue,
} from '../codec/index.ts';
import type { TransportOptions } from '../transport-options.ts';

export class Capabilities {
  /** The largest message that the peer takes. */
  maxMessageBytes = baseMaxMessageSize;
  takesBlocks = false;
  /** The longest token that it takes. */
  maxTokenBytes = baseTokenBytes;

  /** Takes what a CSM says; what it does not say stays (RFC 8323 §5.3). Returns the number of a critical option that is not understood, or 0. */
  take(options: readonly CoapOption[]): number {
    for (const { number, value } of options) {
      if (number === CsmOption.maxMessageSize && value.length <= 4) this.maxMessageBytes = uintValue(value);
      else if (number === CsmOption.blockWiseTransfer) this.takesBlocks = true;
      else if (number === CsmOption.extendedTokenLength && value.length <= 3) this.maxTokenBytes = tokenBound(uintValue(value));
      // RFC 8323 §5.2, §5.3: an elective option that is not understood is ignored, a critical one ends the connection.
      else if ((number & 1) !== 0) return number;
    }
    return 0;
  }
}

/** The options of our own CSM. */
export function ownCapabilities(options: TransportOptions): readonly CoapOption[] {
  return [
    uintOption(CsmOption.maxMessageSize, options.maxStreamMessageBytes),
    emptyOption(CsmOption.blockWiseTransfer),
    ...(options.maxTokenBytes > baseTokenBytes ? [uintOption(CsmOption.extendedTokenLength, options.maxTokenBytes)] : []),
  ];
}

/** RFC 8974 §2.2.1: less than eight, or more than a token can have, counts as that. */
function tokenBound(bytes: number): number {
  return Math.min(Math.max(bytes, baseTokenBytes), maxTokenBytes);
}
