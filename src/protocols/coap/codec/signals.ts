// The options of signalling messages: each signal has numbers of its own (RFC 8323 §5.2, RFC 8974 §2.2.1).

export const CsmOption = { maxMessageSize: 2, blockWiseTransfer: 4, extendedTokenLength: 6 } as const;
export const PingOption = { custody: 2 } as const;
export const AbortOption = { badCsmOption: 2 } as const;

/** What a peer takes before it has said so (RFC 8323 §5.3.1). */
export const baseMaxMessageSize = 1152;
/** RFC 8974 §2.2.1: without the option, tokens have at most eight bytes. */
export const baseTokenBytes = 8;

/** RFC 8323 §5: class 7. */
export function isSignal(code: number): boolean {
  return code >>> 5 === 7;
}
