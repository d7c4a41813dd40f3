// Performatives from bytes and back [AMQP 2.7], table by table.

import { AmqpFault, Condition, decodeFault } from './amqp-fault.ts';
import {
  booleanField,
  choiceField,
  type Composite,
  composite,
  compositeSet,
  type Field,
  fieldsField,
  mandatory,
  readComposite,
  stringField,
  symbolsField,
  ubyteField,
  uintField,
  ulongField,
  ushortField,
  writeOneOf,
} from './composite.ts';
import { errorField, readDeliveryState, stateField, writeDeliveryState } from './delivery-state.ts';
import { FormatCode } from './format-code.ts';
import {
  type Attach,
  type Begin,
  type Close,
  type Detach,
  type Disposition,
  type End,
  type Flow,
  type Open,
  type Performative,
  PerformativeCode,
  type ReceiverSettleMode,
  type Role,
  type SenderSettleMode,
  type Transfer,
  type UnsettledMap,
} from './performatives.ts';
import { sourceField, targetField } from './terminus.ts';
import { bytesOfLatin1, latin1Of } from './text.ts';
import { ValueReader } from './value-reader.ts';
import type { ValueWriter } from './value-writer.ts';

/** [AMQP 2.8.1] */
const roleField: Field<Role> = {
  read: (reader) => (reader.boolean() ? 'receiver' : 'sender'),
  write: (writer, value) => writer.boolean(value === 'receiver'),
};
const sndSettleModeField = choiceField<SenderSettleMode>(ubyteField, 2, 'snd-settle-mode');
const rcvSettleModeField = choiceField<ReceiverSettleMode>(ubyteField, 1, 'rcv-settle-mode');

/** [AMQP 2.8.7] */
export const maxDeliveryTagBytes = 32;

const unsettledField: Field<UnsettledMap> = {
  read(reader) {
    const unsettled = new Map<string, ReturnType<typeof readDeliveryState> | undefined>();
    const outer = reader.end;
    const count = reader.enterMap();
    for (let i = 0; i < count && reader.fault === undefined; i += 2) {
      const tag = reader.binary();
      const key = latin1Of(tag, 0, tag.length);
      if (tag.length > maxDeliveryTagBytes) reader.fail(decodeFault('a delivery tag of more than 32 bytes'));
      if (unsettled.has(key)) reader.fail(decodeFault('a key stands twice in a map')); // [AMQP 1.6.23]
      unsettled.set(key, reader.skipNull() ? undefined : readDeliveryState(reader));
    }
    reader.leave(outer);
    return unsettled;
  },
  write(writer, unsettled) {
    const start = writer.open();
    for (const [tag, state] of unsettled) {
      writer.binary(bytesOfLatin1(tag));
      if (state === undefined) writer.null();
      else writeDeliveryState(writer, state);
    }
    writer.closeMap(start, unsettled.size * 2);
  },
};

const deliveryTagField: Field<Uint8Array> = {
  read(reader) {
    const tag = reader.binary();
    if (tag.length > maxDeliveryTagBytes) reader.fail(decodeFault('a delivery tag of more than 32 bytes'));
    return tag;
  },
  write: (writer, value) => writer.binary(value),
};

const open = composite<Open>('open', PerformativeCode.open, {
  containerId: mandatory(stringField),
  hostname: stringField,
  maxFrameSize: uintField,
  channelMax: ushortField,
  idleTimeOut: uintField,
  outgoingLocales: symbolsField,
  incomingLocales: symbolsField,
  offeredCapabilities: symbolsField,
  desiredCapabilities: symbolsField,
  properties: fieldsField,
});

const begin = composite<Begin>('begin', PerformativeCode.begin, {
  remoteChannel: ushortField,
  nextOutgoingId: mandatory(uintField),
  incomingWindow: mandatory(uintField),
  outgoingWindow: mandatory(uintField),
  handleMax: uintField,
  offeredCapabilities: symbolsField,
  desiredCapabilities: symbolsField,
  properties: fieldsField,
});

const attach = composite<Attach>('attach', PerformativeCode.attach, {
  name: mandatory(stringField),
  handle: mandatory(uintField),
  role: mandatory(roleField),
  sndSettleMode: sndSettleModeField,
  rcvSettleMode: rcvSettleModeField,
  source: sourceField,
  target: targetField,
  unsettled: unsettledField,
  incompleteUnsettled: booleanField,
  initialDeliveryCount: uintField,
  maxMessageSize: ulongField,
  offeredCapabilities: symbolsField,
  desiredCapabilities: symbolsField,
  properties: fieldsField,
});

const flow = composite<Flow>('flow', PerformativeCode.flow, {
  nextIncomingId: uintField,
  incomingWindow: mandatory(uintField),
  nextOutgoingId: mandatory(uintField),
  outgoingWindow: mandatory(uintField),
  handle: uintField,
  deliveryCount: uintField,
  linkCredit: uintField,
  available: uintField,
  drain: booleanField,
  echo: booleanField,
  properties: fieldsField,
});

const transfer = composite<Transfer>('transfer', PerformativeCode.transfer, {
  handle: mandatory(uintField),
  deliveryId: uintField,
  deliveryTag: deliveryTagField,
  messageFormat: uintField,
  settled: booleanField,
  more: booleanField,
  rcvSettleMode: rcvSettleModeField,
  state: stateField,
  resume: booleanField,
  aborted: booleanField,
  batchable: booleanField,
});

const disposition = composite<Disposition>('disposition', PerformativeCode.disposition, {
  role: mandatory(roleField),
  first: mandatory(uintField),
  last: uintField,
  settled: booleanField,
  state: stateField,
  batchable: booleanField,
});

const detach = composite<Detach>('detach', PerformativeCode.detach, {
  handle: mandatory(uintField),
  closed: booleanField,
  error: errorField,
});
const end = composite<End>('end', PerformativeCode.end, { error: errorField });
const close = composite<Close>('close', PerformativeCode.close, { error: errorField });

const performatives = compositeSet<Performative>(
  ...([open, begin, attach, flow, transfer, disposition, detach, end, close] as Composite<Performative>[]),
);

/** Which performative the body of a frame begins with (PerformativeCode); -1: none. Takes the usual form of a descriptor only. */
export function performativeCode(bytes: Uint8Array, start: number, end: number): number {
  if (end - start >= 3 && bytes[start] === FormatCode.described && bytes[start + 1] === FormatCode.smallulong) {
    const code = bytes[start + 2]!;
    return code >= PerformativeCode.open && code <= PerformativeCode.close ? code : -1;
  }
  return rareDescriptor(bytes, start, end);
}

const reader = new ValueReader();

/** A descriptor that is a symbol, or a number written in a longer way. */
function rareDescriptor(bytes: Uint8Array, start: number, end: number): number {
  const code = reader.reset(bytes, start, end).descriptor(performatives.codes);
  return reader.fault === undefined && performatives.byCode.has(code) ? code : -1;
}

/** The performative in the body of a frame. Only behind a transfer may anything follow: use `decodeTransfer` for its payload. */
export function decodePerformative(bytes: Uint8Array, start: number, end: number): Performative | AmqpFault {
  reader.reset(bytes, start, end);
  const type = performatives.byCode.get(reader.descriptor(performatives.codes));
  if (type === undefined) return reader.fault ?? new AmqpFault(Condition.notImplemented, 'a performative that is not known');
  const performative = readComposite(reader, type);
  if (performative.type !== 'transfer') reader.finish(performative.type);
  return reader.fault ?? performative;
}

export function writePerformative(writer: ValueWriter, performative: Performative): void {
  writeOneOf(writer, performatives, performative);
}
