// Any value, performative, SASL frame and message of AMQP 1.0, for property tests.

import fc from 'fast-check';
import type { AmqpArray, AmqpEntry, AmqpValue, Fields } from '../amqp-value.ts';
import type { AmqpError, AmqpOutcome, DeliveryState } from '../delivery-state.ts';
import type { MessageProperties } from '../message-properties.ts';
import type { Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Performative, Transfer } from '../performatives.ts';
import type { SaslFrame } from '../sasl.ts';
import type { Coordinator, Source, Target } from '../terminus.ts';
import { mapKey } from '../map-key.ts';

export const uint32s = fc.oneof(fc.constantFrom(0, 1, 255, 256, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff), fc.nat(), fc.nat(300));
export const ascii = fc.string({ unit: 'binary-ascii', maxLength: 12 });
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('\0', 'é'.repeat(128), 'x'.repeat(255), 'x'.repeat(256)),
);
const binary = fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.constantFrom(new Uint8Array(255), new Uint8Array(256)));
const uint64s = fc.oneof(fc.constantFrom(0n, 255n, 256n, 0xffff_ffff_ffff_ffffn), fc.bigInt(0n, 0xffff_ffff_ffff_ffffn));
const int64s = fc.oneof(
  fc.constantFrom(0n, -1n, 127n, -128n, 128n, -129n, -0x8000_0000_0000_0000n),
  fc.bigInt(-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn),
);
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** By type: what an array of that type holds. */
const scalars = {
  null: fc.constant<AmqpValue>({ type: 'null', value: null }),
  boolean: fc.boolean().map((value): AmqpValue => ({ type: 'boolean', value })),
  ubyte: fc.nat(255).map((value): AmqpValue => ({ type: 'ubyte', value })),
  ushort: fc.nat(65_535).map((value): AmqpValue => ({ type: 'ushort', value })),
  uint: uint32s.map((value): AmqpValue => ({ type: 'uint', value })),
  ulong: uint64s.map((value): AmqpValue => ({ type: 'ulong', value })),
  byte: fc.integer({ min: -128, max: 127 }).map((value): AmqpValue => ({ type: 'byte', value })),
  short: fc.integer({ min: -32_768, max: 32_767 }).map((value): AmqpValue => ({ type: 'short', value })),
  int: fc.oneof(fc.integer(), fc.integer({ min: -130, max: 130 })).map((value): AmqpValue => ({ type: 'int', value })),
  long: int64s.map((value): AmqpValue => ({ type: 'long', value })),
  float: fc.float().map((value): AmqpValue => ({ type: 'float', value })),
  double: fc.double().map((value): AmqpValue => ({ type: 'double', value })),
  decimal32: bytesOf(4).map((value): AmqpValue => ({ type: 'decimal32', value })),
  decimal64: bytesOf(8).map((value): AmqpValue => ({ type: 'decimal64', value })),
  decimal128: bytesOf(16).map((value): AmqpValue => ({ type: 'decimal128', value })),
  char: fc
    .nat(0x10ffff)
    .filter((code) => code < 0xd800 || code > 0xdfff)
    .map((value): AmqpValue => ({ type: 'char', value })),
  timestamp: int64s.map((value): AmqpValue => ({ type: 'timestamp', value })),
  uuid: fc.uuid().map((value): AmqpValue => ({ type: 'uuid', value })),
  binary: binary.map((value): AmqpValue => ({ type: 'binary', value })),
  string: text.map((value): AmqpValue => ({ type: 'string', value })),
  symbol: ascii.map((value): AmqpValue => ({ type: 'symbol', value })),
} as const;

const scalar = fc.oneof(...Object.values(scalars));
const unique = { selector: (entry: AmqpEntry) => mapKey(entry[0]), maxLength: 4 } as const;

function arrayOf(elements: fc.Arbitrary<AmqpValue>, of: AmqpArray['of'], descriptor: fc.Arbitrary<AmqpValue>): fc.Arbitrary<AmqpValue> {
  return fc.tuple(fc.array(elements, { maxLength: 4 }), fc.array(descriptor, { maxLength: 2 })).map(([value, descriptors]) => ({
    type: 'array',
    of,
    value,
    ...(descriptors.length === 0 ? {} : { descriptors }),
  }));
}

export const anyValue: fc.Arbitrary<AmqpValue> = fc.letrec<{ value: AmqpValue; list: AmqpValue; map: AmqpValue; array: AmqpValue }>(
  (tie) => ({
    list: fc.array(tie('value'), { maxLength: 4 }).map((value) => ({ type: 'list', value })),
    map: fc.uniqueArray(fc.tuple(tie('value'), tie('value')), unique).map((value) => ({ type: 'map', value })),
    array: fc.oneof(
      ...Object.entries(scalars).map(([of, elements]) => arrayOf(elements, of as AmqpArray['of'], scalars.symbol)),
      arrayOf(tie('list'), 'list', scalars.ulong),
      arrayOf(tie('map'), 'map', scalars.ulong),
      arrayOf(tie('array'), 'array', tie('value')),
    ),
    value: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      scalar,
      tie('list'),
      tie('map'),
      tie('array'),
      fc.tuple(tie('value'), tie('value')).map(([descriptor, value]): AmqpValue => ({ type: 'described', descriptor, value })),
    ),
  }),
).value;

export const fields: fc.Arbitrary<Fields> = fc
  .uniqueArray(fc.tuple(ascii, anyValue), { selector: (entry) => entry[0], maxLength: 3 })
  .map((entries) => new Map(entries));

const symbols = fc.array(ascii, { maxLength: 3 });

/** An object with some of its optional fields. */
function record<T extends { readonly type: string }>(
  type: T['type'],
  needed: Record<string, fc.Arbitrary<unknown>>,
  optional: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<T> {
  return fc
    .record({ ...needed, ...optional }, { requiredKeys: Object.keys(needed) })
    .map((record) => ({ type, ...record }) as unknown as T);
}

export const error = record<AmqpError>('error', { condition: ascii }, { description: text, info: fields });

const outcomes: fc.Arbitrary<AmqpOutcome> = fc.oneof(
  fc.constant<AmqpOutcome>({ type: 'accepted' }),
  fc.constant<AmqpOutcome>({ type: 'released' }),
  record<AmqpOutcome>('rejected', {}, { error }),
  record<AmqpOutcome>('modified', {}, { deliveryFailed: fc.boolean(), undeliverableHere: fc.boolean(), messageAnnotations: fields }),
);

export const deliveryStates: fc.Arbitrary<DeliveryState> = fc.oneof(
  outcomes,
  record<DeliveryState>('declared', { txnId: binary }, {}),
  record<DeliveryState>('received', { sectionNumber: uint32s, sectionOffset: uint64s }, {}),
  record<DeliveryState>('transactional-state', { txnId: binary }, { outcome: outcomes }),
  anyValue.map((value): DeliveryState => ({
    type: 'unknown',
    value: { type: 'described', descriptor: { type: 'symbol', value: 'com.example:state' }, value },
  })),
);

const terminus = {
  address: text,
  durable: fc.constantFrom(0, 1, 2),
  expiryPolicy: fc.constantFrom('link-detach', 'session-end', 'connection-close', 'never'),
  timeout: uint32s,
  dynamic: fc.boolean(),
  dynamicNodeProperties: fields,
  capabilities: symbols,
};
const source = record<Source>(
  'source',
  {},
  { ...terminus, distributionMode: ascii, filter: fields, defaultOutcome: outcomes, outcomes: symbols },
);
const target = fc.oneof(record<Target>('target', {}, terminus), record<Coordinator>('coordinator', {}, { capabilities: symbols }));

const capabilities = { offeredCapabilities: symbols, desiredCapabilities: symbols, properties: fields };
export const tags = fc.uint8Array({ maxLength: 32 });
const role = fc.constantFrom('sender', 'receiver');
const unsettled = fc
  .uniqueArray(
    fc.tuple(
      fc.string({ unit: fc.nat(255).map((byte) => String.fromCharCode(byte)), maxLength: 32 }),
      fc.option(deliveryStates, { nil: undefined }),
    ),
    {
      selector: (entry) => entry[0],
      maxLength: 4,
    },
  )
  .map((entries) => new Map(entries));

export const performativeArbitraries = {
  open: record<Open>(
    'open',
    { containerId: text },
    {
      hostname: text,
      maxFrameSize: uint32s,
      channelMax: fc.nat(65_535),
      idleTimeOut: uint32s,
      outgoingLocales: symbols,
      incomingLocales: symbols,
      ...capabilities,
    },
  ),
  begin: record<Begin>(
    'begin',
    { nextOutgoingId: uint32s, incomingWindow: uint32s, outgoingWindow: uint32s },
    { remoteChannel: fc.nat(65_535), handleMax: uint32s, ...capabilities },
  ),
  attach: record<Attach>(
    'attach',
    { name: text, handle: uint32s, role },
    {
      sndSettleMode: fc.nat(2),
      rcvSettleMode: fc.nat(1),
      source,
      target,
      unsettled,
      incompleteUnsettled: fc.boolean(),
      initialDeliveryCount: uint32s,
      maxMessageSize: uint64s,
      ...capabilities,
    },
  ),
  flow: record<Flow>(
    'flow',
    { incomingWindow: uint32s, nextOutgoingId: uint32s, outgoingWindow: uint32s },
    {
      nextIncomingId: uint32s,
      handle: uint32s,
      deliveryCount: uint32s,
      linkCredit: uint32s,
      available: uint32s,
      drain: fc.boolean(),
      echo: fc.boolean(),
      properties: fields,
    },
  ),
  transfer: record<Transfer>(
    'transfer',
    { handle: uint32s },
    {
      deliveryId: uint32s,
      deliveryTag: tags,
      messageFormat: uint32s,
      settled: fc.boolean(),
      more: fc.boolean(),
      rcvSettleMode: fc.nat(1),
      state: deliveryStates,
      resume: fc.boolean(),
      aborted: fc.boolean(),
      batchable: fc.boolean(),
    },
  ),
  disposition: record<Disposition>(
    'disposition',
    { role, first: uint32s },
    { last: uint32s, settled: fc.boolean(), state: deliveryStates, batchable: fc.boolean() },
  ),
  detach: record<Detach>('detach', { handle: uint32s }, { closed: fc.boolean(), error }),
  end: record<End>('end', {}, { error }),
  close: record<Close>('close', {}, { error }),
};

export const performatives: fc.Arbitrary<Performative> = fc.oneof(
  ...(Object.values(performativeArbitraries) as fc.Arbitrary<Performative>[]),
);

export const saslFrames: fc.Arbitrary<SaslFrame> = fc.oneof(
  record<SaslFrame>('sasl-mechanisms', { saslServerMechanisms: symbols }, {}),
  record<SaslFrame>('sasl-init', { mechanism: ascii }, { initialResponse: binary, hostname: text }),
  record<SaslFrame>('sasl-challenge', { challenge: binary }, {}),
  record<SaslFrame>('sasl-response', { response: binary }, {}),
  record<SaslFrame>('sasl-outcome', { code: fc.nat(4) }, { additionalData: binary }),
);

const messageId = fc.oneof(scalars.string, scalars.uuid, scalars.binary, scalars.ulong);
const milliseconds = fc.maxSafeInteger();

export const messageProperties = record<MessageProperties>(
  'properties',
  {},
  {
    messageId,
    userId: binary,
    to: text,
    subject: text,
    replyTo: text,
    correlationId: messageId,
    contentType: ascii,
    contentEncoding: ascii,
    absoluteExpiryTime: milliseconds,
    creationTime: milliseconds,
    groupId: text,
    groupSequence: uint32s,
    replyToGroupId: text,
  },
);

export const mapEntries: fc.Arbitrary<readonly AmqpEntry[]> = fc.uniqueArray(fc.tuple(anyValue, anyValue), unique);
