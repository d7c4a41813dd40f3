// Why a peer's bytes are refused, as a value, never thrown: what a peer sends is an expected input. The condition is what the peer is told.

/** Error conditions by their symbols [AMQP 2.8.15] to [AMQP 2.8.18], [AMQP 4.5.8]. */
export const Condition = {
  internalError: 'amqp:internal-error',
  notFound: 'amqp:not-found',
  unauthorizedAccess: 'amqp:unauthorized-access',
  decodeError: 'amqp:decode-error',
  resourceLimitExceeded: 'amqp:resource-limit-exceeded',
  notAllowed: 'amqp:not-allowed',
  invalidField: 'amqp:invalid-field',
  notImplemented: 'amqp:not-implemented',
  resourceLocked: 'amqp:resource-locked',
  preconditionFailed: 'amqp:precondition-failed',
  resourceDeleted: 'amqp:resource-deleted',
  illegalState: 'amqp:illegal-state',
  frameSizeTooSmall: 'amqp:frame-size-too-small',
  connectionForced: 'amqp:connection:forced',
  framingError: 'amqp:connection:framing-error',
  connectionRedirect: 'amqp:connection:redirect',
  windowViolation: 'amqp:session:window-violation',
  errantLink: 'amqp:session:errant-link',
  handleInUse: 'amqp:session:handle-in-use',
  unattachedHandle: 'amqp:session:unattached-handle',
  detachForced: 'amqp:link:detach-forced',
  transferLimitExceeded: 'amqp:link:transfer-limit-exceeded',
  messageSizeExceeded: 'amqp:link:message-size-exceeded',
  linkRedirect: 'amqp:link:redirect',
  stolen: 'amqp:link:stolen',
  unknownTransaction: 'amqp:transaction:unknown-id',
  transactionRollback: 'amqp:transaction:rollback',
  transactionTimeout: 'amqp:transaction:timeout',
} as const;
export type Condition = (typeof Condition)[keyof typeof Condition];

export class AmqpFault {
  readonly condition: Condition;
  /** What is wrong, for logs and for the error's description; holds nothing that the peer sent. */
  readonly message: string;

  constructor(condition: Condition, message: string) {
    this.condition = condition;
    this.message = message;
  }
}

export function decodeFault(message: string): AmqpFault {
  return new AmqpFault(Condition.decodeError, message);
}

export function framingFault(message: string): AmqpFault {
  return new AmqpFault(Condition.framingError, message);
}
