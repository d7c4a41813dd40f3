// Transfer, disposition and flow from bytes: the hot path [AMQP 2.7.4] to [AMQP 2.7.6]. They are decoded into structs that their connection
// uses again and again; payload and delivery tag stay where they are.

import { AmqpFault, Condition, decodeFault } from './amqp-fault.ts';
import type { Fields } from './amqp-value.ts';
import { CompactReader } from './compact-reader.ts';
import { acceptedState, type DeliveryState, readDeliveryState, releasedState, StateCode } from './delivery-state.ts';
import { FormatCode } from './format-code.ts';
import { maxDeliveryTagBytes } from './performative-codec.ts';
import { latin1Of } from './text.ts';
import { ValueReader } from './value-reader.ts';

/** Numbers that are absent are -1, flags that are absent are false. */
export class TransferFields {
  handle = 0;
  /** Absent in the second and later frames of a delivery. */
  deliveryId = -1;
  /** The tag is `bytes[tagStart..tagEnd)`; tagStart is -1 when it is absent. */
  tagStart = -1;
  tagEnd = -1;
  messageFormat = -1;
  settled = false;
  more = false;
  rcvSettleMode = -1;
  state: DeliveryState | undefined = undefined;
  resume = false;
  aborted = false;
  batchable = false;
  payloadStart = 0;
  payloadEnd = 0;
}

export class DispositionFields {
  /** True: the receiver of the deliveries writes. */
  receiver = false;
  first = 0;
  /** The same as `first` when it is absent. */
  last = 0;
  settled = false;
  /** StateCode of `state`; 0: there is none, -1: one that is not known. */
  stateCode = 0;
  state: DeliveryState | undefined = undefined;
  batchable = false;
}

/** Numbers that are absent are -1. */
export class FlowFields {
  nextIncomingId = -1;
  incomingWindow = 0;
  nextOutgoingId = 0;
  outgoingWindow = 0;
  handle = -1;
  deliveryCount = -1;
  linkCredit = -1;
  available = -1;
  drain = false;
  echo = false;
  properties: Fields | undefined = undefined;
}

const reader = new CompactReader();
const values = new ValueReader();

/** Decodes the body of a frame of which `performativeCode` says that it is a transfer. After a fault `into` holds nothing of use. */
export function decodeTransfer(bytes: Uint8Array, start: number, end: number, into: TransferFields): AmqpFault | undefined {
  if (!reader.enter(bytes, start, end, 11, 'transfer')) return reader.fault;
  const handle = reader.uint();
  into.handle = handle;
  into.deliveryId = reader.uint();
  const tagBytes = reader.binary();
  into.tagStart = tagBytes < 0 ? -1 : reader.at - tagBytes;
  into.tagEnd = tagBytes < 0 ? -1 : reader.at;
  into.messageFormat = reader.uint();
  into.settled = reader.flag();
  into.more = reader.flag();
  into.rcvSettleMode = reader.ubyte();
  into.state = reader.present() ? readState() : undefined;
  into.resume = reader.flag();
  into.aborted = reader.flag();
  into.batchable = reader.flag();
  into.payloadStart = reader.end;
  into.payloadEnd = end;
  const fault = reader.leave('transfer');
  if (fault !== undefined) return fault;
  if (handle < 0) return missing('transfer', 'handle');
  if (tagBytes > maxDeliveryTagBytes) return decodeFault('a delivery tag of more than 32 bytes'); // [AMQP 2.8.7]
  return into.rcvSettleMode > 1 ? new AmqpFault(Condition.invalidField, 'an unknown rcv-settle-mode') : undefined;
}

/** The tag of a transfer, one character per byte; empty when it is absent. */
export function deliveryTagOf(bytes: Uint8Array, fields: TransferFields): string {
  return fields.tagStart < 0 ? '' : latin1Of(bytes, fields.tagStart, fields.tagEnd);
}

/** As decodeTransfer. */
export function decodeDisposition(bytes: Uint8Array, start: number, end: number, into: DispositionFields): AmqpFault | undefined {
  if (!reader.enter(bytes, start, end, 6, 'disposition')) return reader.fault;
  const role = reader.choice();
  into.receiver = role === 1;
  const first = reader.uint();
  const last = reader.uint();
  into.first = first;
  into.last = last < 0 ? first : last;
  into.settled = reader.flag();
  into.state = reader.present() ? readState() : undefined;
  into.stateCode = stateCode;
  into.batchable = reader.flag();
  if (into.state === undefined) into.stateCode = 0;
  const fault = finish('disposition', end);
  if (fault !== undefined) return fault;
  if (role < 0) return missing('disposition', 'role');
  return first < 0 ? missing('disposition', 'first') : undefined;
}

/** As decodeTransfer. */
export function decodeFlow(bytes: Uint8Array, start: number, end: number, into: FlowFields): AmqpFault | undefined {
  if (!reader.enter(bytes, start, end, 11, 'flow')) return reader.fault;
  into.nextIncomingId = reader.uint();
  into.incomingWindow = reader.uint();
  into.nextOutgoingId = reader.uint();
  into.outgoingWindow = reader.uint();
  into.handle = reader.uint();
  into.deliveryCount = reader.uint();
  into.linkCredit = reader.uint();
  into.available = reader.uint();
  into.drain = reader.flag();
  into.echo = reader.flag();
  into.properties = reader.present() ? readFields() : undefined;
  const fault = finish('flow', end);
  if (fault !== undefined) return fault;
  if (into.incomingWindow < 0) return missing('flow', 'incoming-window');
  if (into.nextOutgoingId < 0) return missing('flow', 'next-outgoing-id');
  return into.outgoingWindow < 0 ? missing('flow', 'outgoing-window') : undefined;
}

/** StateCode of what readState has read. */
let stateCode = 0;

function readState(): DeliveryState {
  const { bytes, at, end } = reader;
  // Nearly every state is one of two, in five or four bytes: descriptor and an empty list.
  if (
    at + 4 <= end &&
    bytes[at] === FormatCode.described &&
    bytes[at + 1] === FormatCode.smallulong &&
    bytes[at + 3] === FormatCode.list0
  ) {
    const code = bytes[at + 2]!;
    if (code === StateCode.accepted || code === StateCode.released) {
      reader.at = at + 4;
      stateCode = code;
      return code === StateCode.accepted ? acceptedState : releasedState;
    }
  }
  const state = readDeliveryState(values.reset(bytes, at, end));
  stateCode = codes[state.type];
  passed();
  return state;
}

const codes: Readonly<Record<DeliveryState['type'], number>> = {
  received: StateCode.received,
  accepted: StateCode.accepted,
  rejected: StateCode.rejected,
  released: StateCode.released,
  modified: StateCode.modified,
  declared: StateCode.declared,
  'transactional-state': StateCode.transactionalState,
  unknown: -1,
};

function readFields(): Fields {
  const fields = values.reset(reader.bytes, reader.at, reader.end).fields();
  passed();
  return fields;
}

/** The compact reader goes on where the other one has stopped. */
function passed(): void {
  if (values.fault === undefined) reader.at = values.at;
  else reader.fail(values.fault);
}

/** Only a transfer may have something behind its list. */
function finish(what: string, end: number): AmqpFault | undefined {
  if (reader.fault === undefined && reader.end !== end) reader.fail(decodeFault(`bytes after the end of ${what}`));
  return reader.leave(what);
}

function missing(what: string, field: string): AmqpFault {
  return decodeFault(`${what} without ${field}`);
}
