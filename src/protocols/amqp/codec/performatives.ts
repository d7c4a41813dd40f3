// The performatives as plain objects [AMQP 2.7]. What a peer left out is absent; the defaults of the specification stand beside the fields.
// For transfer, disposition and flow these objects are the slow way: see TransferFields, DispositionFields and FlowFields.

import type { Fields } from './amqp-value.ts';
import type { AmqpError, DeliveryState } from './delivery-state.ts';
import type { Coordinator, Source, Target } from './terminus.ts';

/** Descriptors of the performatives. */
export const PerformativeCode = {
  open: 0x10,
  begin: 0x11,
  attach: 0x12,
  flow: 0x13,
  transfer: 0x14,
  disposition: 0x15,
  detach: 0x16,
  end: 0x17,
  close: 0x18,
} as const;

/** [AMQP 2.7.1] */
export type Open = {
  readonly type: 'open';
  readonly containerId: string;
  readonly hostname?: string | undefined;
  /** Bytes. Default: 4,294,967,295; at least 512. */
  readonly maxFrameSize?: number | undefined;
  /** Default: 65,535. */
  readonly channelMax?: number | undefined;
  /** Milliseconds. Absent: none. */
  readonly idleTimeOut?: number | undefined;
  readonly outgoingLocales?: readonly string[] | undefined;
  readonly incomingLocales?: readonly string[] | undefined;
  readonly offeredCapabilities?: readonly string[] | undefined;
  readonly desiredCapabilities?: readonly string[] | undefined;
  readonly properties?: Fields | undefined;
};

/** [AMQP 2.7.2] */
export type Begin = {
  readonly type: 'begin';
  /** Present in the answer to a begin only. */
  readonly remoteChannel?: number | undefined;
  readonly nextOutgoingId: number;
  readonly incomingWindow: number;
  readonly outgoingWindow: number;
  /** Default: 4,294,967,295. */
  readonly handleMax?: number | undefined;
  readonly offeredCapabilities?: readonly string[] | undefined;
  readonly desiredCapabilities?: readonly string[] | undefined;
  readonly properties?: Fields | undefined;
};

/** [AMQP 2.8.2] */
export const SenderSettleMode = { unsettled: 0, settled: 1, mixed: 2 } as const;
export type SenderSettleMode = (typeof SenderSettleMode)[keyof typeof SenderSettleMode];

/** [AMQP 2.8.3] */
export const ReceiverSettleMode = { first: 0, second: 1 } as const;
export type ReceiverSettleMode = (typeof ReceiverSettleMode)[keyof typeof ReceiverSettleMode];

export type Role = 'sender' | 'receiver';

/** By delivery tag, one character per byte (`latin1Of`); undefined: no state yet. */
export type UnsettledMap = ReadonlyMap<string, DeliveryState | undefined>;

/** [AMQP 2.7.3] */
export type Attach = {
  readonly type: 'attach';
  readonly name: string;
  readonly handle: number;
  /** What the writer of the frame is. */
  readonly role: Role;
  /** Default: mixed. */
  readonly sndSettleMode?: SenderSettleMode | undefined;
  /** Default: first. */
  readonly rcvSettleMode?: ReceiverSettleMode | undefined;
  readonly source?: Source | undefined;
  readonly target?: Target | Coordinator | undefined;
  readonly unsettled?: UnsettledMap | undefined;
  readonly incompleteUnsettled?: boolean | undefined;
  /** Mandatory for a sender. */
  readonly initialDeliveryCount?: number | undefined;
  /** Bytes; absent or 0: no limit. */
  readonly maxMessageSize?: bigint | undefined;
  readonly offeredCapabilities?: readonly string[] | undefined;
  readonly desiredCapabilities?: readonly string[] | undefined;
  readonly properties?: Fields | undefined;
};

/** [AMQP 2.7.4] */
export type Flow = {
  readonly type: 'flow';
  readonly nextIncomingId?: number | undefined;
  readonly incomingWindow: number;
  readonly nextOutgoingId: number;
  readonly outgoingWindow: number;
  readonly handle?: number | undefined;
  readonly deliveryCount?: number | undefined;
  readonly linkCredit?: number | undefined;
  readonly available?: number | undefined;
  readonly drain?: boolean | undefined;
  readonly echo?: boolean | undefined;
  readonly properties?: Fields | undefined;
};

/** [AMQP 2.7.5], without the payload, which follows it in the frame. */
export type Transfer = {
  readonly type: 'transfer';
  readonly handle: number;
  readonly deliveryId?: number | undefined;
  readonly deliveryTag?: Uint8Array | undefined;
  readonly messageFormat?: number | undefined;
  readonly settled?: boolean | undefined;
  readonly more?: boolean | undefined;
  readonly rcvSettleMode?: ReceiverSettleMode | undefined;
  readonly state?: DeliveryState | undefined;
  readonly resume?: boolean | undefined;
  readonly aborted?: boolean | undefined;
  readonly batchable?: boolean | undefined;
};

/** [AMQP 2.7.6] */
export type Disposition = {
  readonly type: 'disposition';
  readonly role: Role;
  readonly first: number;
  /** Default: first. */
  readonly last?: number | undefined;
  readonly settled?: boolean | undefined;
  readonly state?: DeliveryState | undefined;
  readonly batchable?: boolean | undefined;
};

/** [AMQP 2.7.7] */
export type Detach = {
  readonly type: 'detach';
  readonly handle: number;
  readonly closed?: boolean | undefined;
  readonly error?: AmqpError | undefined;
};

/** [AMQP 2.7.8] */
export type End = { readonly type: 'end'; readonly error?: AmqpError | undefined };

/** [AMQP 2.7.9] */
export type Close = { readonly type: 'close'; readonly error?: AmqpError | undefined };

export type Performative = Open | Begin | Attach | Flow | Transfer | Disposition | Detach | End | Close;
