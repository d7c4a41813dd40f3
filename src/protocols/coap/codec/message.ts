// A CoAP message without what only one transport knows (message id and type over UDP, length over TCP).

/** RFC 7252 §3.1: numbers ascend in a message; a repeated option is several. */
export type CoapOption = { readonly number: number; readonly value: Uint8Array };

export type CoapMessage = {
  /** Class in the upper three bits, detail in the lower five: 0.01 is 0x01, 2.05 is 0x45. See Code. */
  readonly code: number;
  /** 0 to 8 bytes, more where both know extended tokens (RFC 8974). */
  readonly token: Uint8Array;
  /** In ascending order of their numbers. */
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
};

/** RFC 7252 §12.1, RFC 8132, RFC 7959, RFC 8323 §5, RFC 8613, RFC 9175, RFC 9177. */
export const Code = {
  empty: 0x00,
  get: 0x01,
  post: 0x02,
  put: 0x03,
  delete: 0x04,
  fetch: 0x05,
  patch: 0x06,
  ipatch: 0x07,
  created: 0x41,
  deleted: 0x42,
  valid: 0x43,
  changed: 0x44,
  content: 0x45,
  continue: 0x5f,
  badRequest: 0x80,
  unauthorized: 0x81,
  badOption: 0x82,
  forbidden: 0x83,
  notFound: 0x84,
  methodNotAllowed: 0x85,
  notAcceptable: 0x86,
  requestEntityIncomplete: 0x88,
  conflict: 0x89,
  preconditionFailed: 0x8c,
  requestEntityTooLarge: 0x8d,
  unsupportedContentFormat: 0x8f,
  unprocessableEntity: 0x96,
  tooManyRequests: 0x9d,
  internalServerError: 0xa0,
  notImplemented: 0xa1,
  badGateway: 0xa2,
  serviceUnavailable: 0xa3,
  gatewayTimeout: 0xa4,
  proxyingNotSupported: 0xa5,
  hopLimitReached: 0xa8,
  csm: 0xe1,
  ping: 0xe2,
  pong: 0xe3,
  release: 0xe4,
  abort: 0xe5,
} as const;
