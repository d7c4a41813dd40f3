// Why the client could not do what it was asked to. `code` is for programs, the message for people.

import { ReasonCode, reasonText } from '../protocols/mqtt/codec/index.ts';

export type ClientErrorCode =
  /** The address does not resolve, nothing listens there, or the network is down; `cause` has the system's code. */
  | 'unreachable'
  /** TLS: one side does not trust the certificate of the other. */
  | 'certificate'
  /** No answer in time. */
  | 'timeout'
  /** The server refused the connection, with `reason`. */
  | 'refused'
  /** The connection is gone; with `reason` when the server said why. */
  | 'disconnected'
  /** The server answered a request with a failure, which is `reason`. */
  | 'rejected'
  /** The server has forgotten the session: whether it got a message of QoS 2 is not known. */
  | 'session-lost'
  /** The server does not offer this, or it is larger than the server takes. */
  | 'unsupported'
  /** Too much waits already. */
  | 'queue-full'
  /** The peer does not speak MQTT as it should. */
  | 'protocol'
  /** The client was closed by its owner. */
  | 'closed';

/** Trying again would only get the same answer. */
const finalReasons = new Set<number>([
  ReasonCode.unsupportedProtocolVersion,
  ReasonCode.clientIdentifierNotValid,
  ReasonCode.badUserNameOrPassword,
  ReasonCode.notAuthorized,
  ReasonCode.banned,
  ReasonCode.badAuthenticationMethod,
  ReasonCode.malformedPacket,
  ReasonCode.protocolError,
  // Another client uses the same identifier: coming back would start a fight over the session.
  ReasonCode.sessionTakenOver,
  ReasonCode.administrativeAction,
]);

export class ClientError extends Error {
  readonly code: ClientErrorCode;
  readonly reason: ReasonCode | undefined;

  constructor(code: ClientErrorCode, message: string, options: { reason?: ReasonCode; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ClientError';
    this.code = code;
    this.reason = options.reason;
  }

  /** Whether connecting again is of no use. */
  get isFinal(): boolean {
    if (this.code === 'certificate' || this.code === 'protocol' || this.code === 'closed') return true;
    return this.reason !== undefined && finalReasons.has(this.reason);
  }

  /** The system's code behind it, such as ECONNREFUSED. */
  get systemCode(): string | undefined {
    return (this.cause as NodeJS.ErrnoException | undefined)?.code;
  }
}

/** A failure in the server's words. */
export function saidByServer(code: ClientErrorCode, what: string, reason: ReasonCode, reasonString: string | undefined): ClientError {
  const more = reasonString === undefined ? '' : `: ${reasonString}`;
  return new ClientError(code, `${what}: ${reasonText(reason)}${more}`, { reason });
}
