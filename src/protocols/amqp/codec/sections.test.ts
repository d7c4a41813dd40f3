import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmqpFault } from './amqp-fault.ts';
import type { AmqpEntry } from './amqp-value.ts';
import { decodeHeader, HeaderFields, maxHeaderBytes, writeHeader } from './message-header.ts';
import { decodeMap, decodeProperties, writeDataHead, writeMapSection, writePropertiesSection } from './message-properties.ts';
import { eachDataSection, MessageSections, scanMessage, SectionCode } from './message-sections.ts';
import { anyValue, mapEntries, messageProperties, uint32s } from './testing/arbitraries.ts';
import { decodeValue } from './value-reader.ts';
import { encodeValue, ValueWriter } from './value-writer.ts';

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function section(write: (writer: ValueWriter) => void): Uint8Array {
  const writer = new ValueWriter();
  write(writer);
  return writer.copy();
}

const optionally = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const headers = fc.record({
  durable: fc.boolean(),
  priority: fc.nat(255),
  ttl: fc.oneof(uint32s, fc.constant(-1)),
  firstAcquirer: fc.boolean(),
  deliveryCount: uint32s,
});

function headerSection(header: Parameters<typeof writeHeader>[2]): Uint8Array {
  const buffer = new Uint8Array(maxHeaderBytes + 3);
  return buffer.slice(3, writeHeader(buffer, 3, header));
}

const bodies = fc.oneof(
  fc
    .array(fc.uint8Array({ maxLength: 300, size: 'max' }), { minLength: 1, maxLength: 3 })
    .map((data) => ({ kind: SectionCode.data, data, values: [] })),
  fc.array(fc.array(anyValue, { maxLength: 3 }), { minLength: 1, maxLength: 3 }).map((lists) => ({
    kind: SectionCode.sequence,
    data: [],
    values: lists.map((value) => ({ type: 'list', value }) as const),
  })),
  anyValue.map((value) => ({ kind: SectionCode.value, data: [], values: [value] })),
  fc.constant({ kind: 0, data: [], values: [] }),
);

type Body = typeof bodies extends fc.Arbitrary<infer T> ? T : never;

function bodySections(body: Body): Uint8Array {
  return section((writer) => {
    for (const bytes of body.data) {
      writeDataHead(writer, bytes.length);
      writer.raw(bytes);
    }
    for (const value of body.values) {
      writer.descriptor(body.kind);
      writer.value(value);
    }
  });
}

const sections = new MessageSections();

test('sections are found where they are, and read as they were written', () => {
  const maps = fc.tuple(optionally(mapEntries), optionally(mapEntries), optionally(mapEntries), optionally(mapEntries));
  fc.assert(
    fc.property(
      headers,
      maps,
      optionally(messageProperties),
      bodies,
      fc.nat(3),
      (header, [delivery, message, application, footer], properties, body, before) => {
        const map = (code: number, entries: readonly AmqpEntry[] | undefined) =>
          entries === undefined ? new Uint8Array(0) : section((writer) => writeMapSection(writer, code, entries));
        const parts = [
          headerSection(header),
          map(SectionCode.deliveryAnnotations, delivery),
          map(SectionCode.messageAnnotations, message),
          properties === undefined ? new Uint8Array(0) : section((writer) => writePropertiesSection(writer, properties)),
          map(SectionCode.applicationProperties, application),
          bodySections(body),
          map(SectionCode.footer, footer),
        ];
        const bytes = Buffer.concat([new Uint8Array(before), ...parts]);
        assert.equal(scanMessage(bytes, before, bytes.length, sections), undefined);
        const found = sections;
        const entriesAt = (start: number, end: number) => (start < 0 ? undefined : decodeMap(bytes, start, end));
        assert.deepEqual(entriesAt(found.deliveryAnnotationsStart, found.deliveryAnnotationsEnd), delivery);
        assert.deepEqual(entriesAt(found.messageAnnotationsStart, found.messageAnnotationsEnd), message);
        assert.deepEqual(entriesAt(found.applicationPropertiesStart, found.applicationPropertiesEnd), application);
        assert.deepEqual(entriesAt(found.footerStart, found.footerEnd), footer);
        const read = found.propertiesStart < 0 ? undefined : decodeProperties(bytes, found.propertiesStart, found.propertiesEnd);
        assert.deepEqual(read, properties);
        const fields = new HeaderFields();
        if (found.headerStart >= 0) assert.equal(decodeHeader(bytes, found.headerStart, found.headerEnd, fields), undefined);
        assert.deepEqual(
          { ...header },
          {
            durable: fields.durable,
            priority: fields.priority,
            ttl: fields.ttl,
            firstAcquirer: fields.firstAcquirer,
            deliveryCount: fields.deliveryCount,
          },
        );
        checkBody(bytes, body);
        const kept = Buffer.concat(parts.slice(2));
        assert.deepEqual(bytes.subarray(found.keptStart, found.end), kept);
        const bare = Buffer.concat(parts.slice(3, 6));
        assert.deepEqual(found.bareStart < 0 ? Buffer.alloc(0) : bytes.subarray(found.bareStart, found.bareEnd), bare);
      },
    ),
    { numRuns: 500 },
  );
});

function checkBody(bytes: Uint8Array, body: Body): void {
  assert.equal(sections.bodyKind, body.kind);
  assert.equal(sections.bodyCount, body.data.length + body.values.length);
  if (body.values.length > 0) assert.deepEqual(decodeValue(bytes, sections.bodyStart, sections.bodyEnd), body.values[0]);
  const data: Uint8Array[] = [];
  if (body.kind === SectionCode.data) {
    assert.deepEqual(new Uint8Array(bytes.subarray(sections.dataStart, sections.dataEnd)), body.data[0]);
    eachDataSection(bytes, sections, (start, end) => data.push(new Uint8Array(bytes.subarray(start, end))));
  }
  assert.deepEqual(data, body.data);
}

function scan(text: string): string | undefined {
  const bytes = hex(text);
  const fault = scanMessage(bytes, 0, bytes.length, sections);
  if (fault !== undefined) assert.equal(fault.condition, 'amqp:decode-error');
  return fault?.message;
}

test('sections in a wrong order, of a wrong type or without an end are refused', () => {
  const cases: readonly (readonly [message: string, why: RegExp])[] = [
    ['40', /described value/],
    ['00', /within/],
    ['0053', /within/],
    ['005375', /within/],
    ['005375a0', /within/],
    ['005375a00100 00', /within/],
    ['00537540', /data is of another type/],
    ['005375a100', /data is of another type/],
    ['005370c10100', /header is of another type/],
    ['00537145', /delivery-annotations is of another type/],
    ['00537345 005372c10100', /wrong order/],
    ['00537345 00537045', /wrong order/],
    ['00537345 00537345', /wrong order/],
    ['00537740 00537740', /wrong order/],
    ['005375a000 00537740', /two kinds/],
    ['00537645 005375a000', /wrong order/],
    ['005378c10100 005375a000', /wrong order/],
    ['00537940', /unknown section/],
    ['00532445', /unknown section/],
    ['00a30161 45', /unknown section/],
  ];
  for (const [message, why] of cases) assert.match(scan(message) ?? 'taken', why, message);
});

test('descriptors of sections may be symbols or long numbers; a message may be empty', () => {
  const name = Buffer.from('amqp:data:binary').toString('hex');
  assert.equal(scan(`00a310${name}a00107 00800000000000000075a00108`), undefined);
  assert.equal(sections.bodyCount, 2);
  const bytes = hex(`00a310${name}a00107 00800000000000000075a00108`);
  const data: number[] = [];
  eachDataSection(bytes, sections, (start, end) => data.push(...bytes.subarray(start, end)));
  assert.deepEqual(data, [7, 8]);
  assert.equal(scan(''), undefined);
  assert.deepEqual([sections.bodyKind, sections.bareStart, sections.keptStart], [0, -1, 0]);
  assert.equal(scan('00537045'), undefined);
  assert.deepEqual([sections.headerStart, sections.headerEnd], [3, 4]);
});

test('headers hold the defaults of what they leave out, and are written only where they differ', () => {
  const fields = new HeaderFields();
  assert.equal(headerSection(fields).length, 0);
  fields.durable = true;
  assert.equal(Buffer.from(headerSection(fields)).toString('hex'), '005370c0020141');
  fields.reset();
  fields.ttl = 0xffff_ffff;
  fields.deliveryCount = 0xffff_ffff;
  fields.priority = 9;
  fields.firstAcquirer = true;
  assert.equal(headerSection(fields).length, maxHeaderBytes);
  for (const [text, why] of [
    ['c00706 4040404040 40', /more fields/],
    ['c00201 43', /where a boolean/],
    ['c00402 41 5204', /where a ubyte/],
    ['c0020241', /within/],
    ['c0030141 40', /wrong size/],
    ['c0', /not a list/],
    ['40', /not a list/],
  ] as const) {
    const bytes = hex(text);
    assert.match(decodeHeader(bytes, 0, bytes.length, fields)?.message ?? 'taken', why, text);
  }
});

test('properties and maps of a wrong form are refused', () => {
  const properties = (text: string) => decodeProperties(hex(text), 0, hex(text).length);
  assert.match((properties('c0030143') as AmqpFault).message, /within/);
  assert.match((properties('c0020143') as AmqpFault).message, /message id of another type/);
  assert.match((properties('c00401a30161') as AmqpFault).message, /message id of another type/);
  assert.match((properties('c00f0e 4040404040404040404040404040') as AmqpFault).message, /more fields/);
  const entries = encodeValue({ type: 'list', value: [] });
  assert.ok(decodeMap(entries, 0, entries.length) instanceof AmqpFault);
  const odd = hex('c1020140');
  assert.match((decodeMap(odd, 0, odd.length) as AmqpFault).message, /no value/);
});
