// Any message, in any of the encodings that the specification allows, for property tests.

import fc from 'fast-check';
import { type AmqpEntry, type AmqpValue, encodeValue, SectionCode } from '../codec/index.ts';
import { anyValue, ascii, mapEntries } from '../codec/testing/arbitraries.ts';

const names: Readonly<Record<number, string>> = {
  [SectionCode.header]: 'amqp:header:list',
  [SectionCode.deliveryAnnotations]: 'amqp:delivery-annotations:map',
  [SectionCode.messageAnnotations]: 'amqp:message-annotations:map',
  [SectionCode.properties]: 'amqp:properties:list',
  [SectionCode.applicationProperties]: 'amqp:application-properties:map',
  [SectionCode.data]: 'amqp:data:binary',
  [SectionCode.sequence]: 'amqp:amqp-sequence:list',
  [SectionCode.value]: 'amqp:amqp-value:*',
  [SectionCode.footer]: 'amqp:footer:map',
};

export type AnyMessage = {
  readonly bytes: Uint8Array;
  /** The sections by themselves; undefined: there is none. */
  readonly annotations: Uint8Array | undefined;
  readonly bare: Uint8Array;
  readonly footer: Uint8Array | undefined;
};

/** How a descriptor is written. */
const descriptorForm = fc.nat(3);

function descriptorOf(code: number, form: number): Uint8Array {
  if (form === 0) return Uint8Array.of(0, 0x53, code);
  if (form === 1) return Uint8Array.of(0, 0x80, 0, 0, 0, 0, 0, 0, 0, code);
  const name = Buffer.from(names[code]!);
  return form === 2 ? Buffer.from([0, 0xa3, name.length, ...name]) : Buffer.from([0, 0xb3, 0, 0, 0, name.length, ...name]);
}

/** A value with its size in four bytes where one would do. */
function wide(bytes: Uint8Array): Uint8Array {
  const code = bytes[0]!;
  const size = bytes[1]!;
  if (code === 0xc0 || code === 0xc1) {
    const head = Buffer.from([code | 0x10, 0, 0, 0, 0, 0, 0, 0, bytes[2]!]);
    head.writeUInt32BE(size + 3, 1);
    return Buffer.concat([head, bytes.subarray(3)]);
  }
  if (code === 0xa0 || code === 0xa1 || code === 0xa3) {
    return Buffer.concat([Buffer.from([code | 0x10, 0, 0, 0, size]), bytes.subarray(2)]);
  }
  return bytes;
}

function section(code: number, value: fc.Arbitrary<AmqpValue>): fc.Arbitrary<Uint8Array> {
  return fc.tuple(value, descriptorForm, fc.boolean()).map(([of, form, isWide]) => {
    const bytes = encodeValue(of);
    return new Uint8Array(Buffer.concat([descriptorOf(code, form), isWide ? wide(bytes) : bytes]));
  });
}

const binary = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constantFrom(new Uint8Array(255), new Uint8Array(256)));
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom('x'.repeat(255), 'ü'.repeat(200)));
const list = fc.array(anyValue, { maxLength: 3 }).map((value): AmqpValue => ({ type: 'list', value }));
const map = mapEntries.map((value): AmqpValue => ({ type: 'map', value }));
const dataValue = binary.map((value): AmqpValue => ({ type: 'binary', value }));
const stringValue = text.map((value): AmqpValue => ({ type: 'string', value }));

const optional = (value: fc.Arbitrary<AmqpValue>): fc.Arbitrary<AmqpValue> =>
  fc.oneof(fc.constant<AmqpValue>({ type: 'null', value: null }), value);
const identifier = fc.oneof(
  stringValue,
  dataValue,
  fc.uuid().map((value): AmqpValue => ({ type: 'uuid', value })),
  fc.bigInt(0n, 0xffff_ffff_ffff_ffffn).map((value): AmqpValue => ({ type: 'ulong', value })),
);
const symbol = ascii.map((value): AmqpValue => ({ type: 'symbol', value }));
const timestamp = fc.maxSafeInteger().map((ms): AmqpValue => ({ type: 'timestamp', value: BigInt(ms) }));
const uint = fc.nat().map((value): AmqpValue => ({ type: 'uint', value }));

/** [AMQP 3.2.4] */
const properties = fc
  .tuple(
    fc.tuple(
      optional(identifier),
      optional(dataValue),
      optional(stringValue),
      optional(stringValue),
      optional(stringValue),
      optional(identifier),
      optional(symbol),
      optional(symbol),
      optional(timestamp),
      optional(timestamp),
      optional(stringValue),
      optional(uint),
      optional(stringValue),
    ),
    fc.nat(13),
  )
  .map(([fields, count]): AmqpValue => ({ type: 'list', value: fields.slice(0, count) }));

/** [AMQP 3.2.1] */
const header = fc
  .tuple(fc.boolean(), fc.nat(255), fc.nat(), fc.boolean(), fc.nat())
  .map(([durable, priority, ttl, firstAcquirer, deliveryCount]): AmqpValue => ({
    type: 'list',
    value: [
      { type: 'boolean', value: durable },
      { type: 'ubyte', value: priority },
      { type: 'uint', value: ttl },
      { type: 'boolean', value: firstAcquirer },
      { type: 'uint', value: deliveryCount },
    ],
  }));

/** Keys are symbols; those of the broker are left out, as what they hold is checked. */
const annotations = fc.uniqueArray(fc.tuple(ascii, anyValue), { selector: ([key]) => key, maxLength: 3 }).map((entries): AmqpValue => ({
  type: 'map',
  value: entries.filter(([key]) => !key.startsWith('x-opt-')).map(([key, value]): AmqpEntry => [{ type: 'symbol', value: key }, value]),
}));

const maybe = (bytes: fc.Arbitrary<Uint8Array>) => fc.option(bytes, { nil: undefined });

const body = fc.oneof(
  section(SectionCode.data, dataValue),
  section(SectionCode.value, fc.oneof(anyValue, dataValue, stringValue)),
  fc.array(section(SectionCode.data, dataValue), { minLength: 0, maxLength: 3 }).map(joined),
  fc.array(section(SectionCode.sequence, list), { minLength: 1, maxLength: 3 }).map(joined),
);

function joined(parts: readonly (Uint8Array | undefined)[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.filter((part) => part !== undefined)));
}

export const anyMessage: fc.Arbitrary<AnyMessage> = fc
  .tuple(
    maybe(section(SectionCode.header, header)),
    maybe(section(SectionCode.deliveryAnnotations, map)),
    maybe(section(SectionCode.messageAnnotations, annotations)),
    maybe(section(SectionCode.properties, properties)),
    maybe(section(SectionCode.applicationProperties, map)),
    body,
    maybe(section(SectionCode.footer, map)),
  )
  .map(([first, delivery, message, own, application, content, footer]) => ({
    bytes: joined([first, delivery, message, own, application, content, footer]),
    annotations: message,
    bare: joined([own, application, content]),
    footer,
  }));
