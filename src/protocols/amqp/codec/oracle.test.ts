// rhea's codec, which we did not write, must read what we write, and we what it writes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmqpFault } from './amqp-fault.ts';
import { nullValue } from './amqp-value.ts';
import { FrameType } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { decodeHeader, HeaderFields, maxHeaderBytes, writeHeader } from './message-header.ts';
import { decodeMap, decodeProperties, type MessageProperties, writeDataHead, writePropertiesSection } from './message-properties.ts';
import { MessageSections, scanMessage, SectionCode } from './message-sections.ts';
import { decodePerformative } from './performative-codec.ts';
import { decodeSaslFrame } from './sasl.ts';
import { anyValue, messageProperties, performativeArbitraries, performatives, saslFrames } from './testing/arbitraries.ts';
import { outputOf } from './testing/frames.ts';
import { inOurWords, readByThem, tamed, theirFrames, theirMessages, type TheirPerformative, writtenByThem } from './testing/rhea.ts';
import { decodeValue } from './value-reader.ts';
import { encodeValue, ValueWriter } from './value-writer.ts';

test('they read any value as we have written it', () => {
  fc.assert(
    fc.property(anyValue.map(tamed), (value) => {
      assert.deepEqual(readByThem(encodeValue(value)), value);
    }),
    { numRuns: 500 },
  );
});

test('we read any value as they have written it', () => {
  fc.assert(
    fc.property(anyValue.map(tamed), (value) => {
      assert.deepEqual(decodeValue(writtenByThem(value)), value);
    }),
    { numRuns: 500 },
  );
});

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The fields that both have as plain values must be the same, under the same names. */
function assertSameFields(theirs: TheirPerformative, ours: object): void {
  for (const [name, value] of Object.entries(ours)) {
    const other = theirs[snakeCase(name)];
    if (name === 'role') assert.equal(other, value === 'receiver');
    else if (name === 'error') assertSameFields(other as TheirPerformative, value as object);
    else if (name !== 'type' && ['number', 'string', 'boolean'].includes(typeof value)) assert.equal(other, value, name);
    else if (value instanceof Uint8Array) assert.deepEqual(new Uint8Array(other as Buffer), value, name);
  }
}

test('they read any performative as we have written it', () => {
  fc.assert(
    fc.property(performatives, fc.nat(0xffff), (performative, channel) => {
      const bytes = outputOf((output) => void new FrameWriter(output, 1e6).performative(channel, performative));
      const frame = theirFrames.read_frame(Buffer.from(bytes));
      assert.equal(frame.channel, channel);
      assert.equal(frame.payload, undefined);
      assertSameFields(frame.performative, performative);
    }),
    { numRuns: 500 },
  );
});

test('they read any SASL frame as we have written it', () => {
  fc.assert(
    fc.property(saslFrames, (sasl) => {
      const bytes = outputOf((output) => void new FrameWriter(output, 1e6).sasl(sasl));
      const frame = theirFrames.read_frame(Buffer.from(bytes));
      assert.equal(frame.type, FrameType.sasl);
      assertSameFields(frame.performative, sasl);
    }),
    { numRuns: 200 },
  );
});

/** What both can say: plain values, lists of symbols and errors. */
function inTheirFields(object: object): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object)) {
    if (name === 'type') continue;
    if (name === 'role') fields[name] = value === 'receiver';
    else if (name === 'error') fields[name] = inTheirFields(value as object);
    else if (value instanceof Uint8Array) fields[snakeCase(name)] = Buffer.from(value);
    else if (Array.isArray(value) || ['number', 'string', 'boolean'].includes(typeof value)) fields[snakeCase(name)] = value;
  }
  return fields;
}

function shared<T extends object>(object: T): T {
  const kept = Object.entries(object).map(([name, value]) => [name, name === 'error' ? shared(value as object) : value] as const);
  return Object.fromEntries(
    kept
      .filter(([name, value]) => value instanceof Uint8Array || Array.isArray(value) || typeof value !== 'object' || name === 'error')
      .filter(([, value]) => typeof value !== 'bigint'),
  ) as T;
}

test('we read any performative as they have written it', () => {
  const { open, begin, attach, flow, transfer, disposition, detach, end, close } = performativeArbitraries;
  fc.assert(
    fc.property(fc.oneof(open, begin, attach, flow, transfer, disposition, detach, end, close).map(shared), (performative) => {
      const theirs = theirFrames[performative.type]!(inTheirFields(performative));
      const bytes = theirFrames.write_frame(theirFrames.amqp_frame(0, theirs));
      assert.deepEqual(decodePerformative(bytes, 8, bytes.length), performative);
    }),
    { numRuns: 500 },
  );
});

test('we read any SASL frame as they have written it', () => {
  fc.assert(
    fc.property(saslFrames, (sasl) => {
      const theirs = theirFrames[sasl.type.replace('-', '_')]!(inTheirFields(sasl));
      const bytes = theirFrames.write_frame(theirFrames.sasl_frame(theirs));
      assert.deepEqual(decodeSaslFrame(bytes, 8, bytes.length), sasl);
    }),
    { numRuns: 200 },
  );
});

/** Identifiers of other types than these have no way through their messages. */
function plainIds(properties: MessageProperties): boolean {
  return [properties.messageId, properties.correlationId].every((id) => id === undefined || id.type === 'string');
}

const applicationProperties = fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), { noNullPrototype: true });

test('messages of theirs have the sections that they gave them', () => {
  const sections = new MessageSections();
  const header = new HeaderFields();
  fc.assert(
    fc.property(
      messageProperties.filter(plainIds),
      applicationProperties,
      fc.uint8Array({ maxLength: 300, size: 'max' }),
      fc.nat(9),
      (properties, application, data, priority) => {
        const bytes = theirMessages.encode({
          ...inTheirFields({ ...properties, messageId: properties.messageId?.value, correlationId: properties.correlationId?.value }),
          durable: true,
          priority,
          ttl: 5000,
          delivery_count: 3,
          message_annotations: { 'x-opt-a': 'b' },
          application_properties: application,
          body: theirMessages.data_section(Buffer.from(data)),
        });
        assert.equal(scanMessage(bytes, 0, bytes.length, sections), undefined);
        assert.equal(decodeHeader(bytes, sections.headerStart, sections.headerEnd, header), undefined);
        assert.deepEqual(
          [header.durable, header.priority, header.ttl, header.firstAcquirer, header.deliveryCount],
          [true, priority, 5000, false, 3],
        );
        assert.deepEqual(decodeProperties(bytes, sections.propertiesStart, sections.propertiesEnd), properties);
        const entries = decodeMap(bytes, sections.applicationPropertiesStart, sections.applicationPropertiesEnd);
        assert.ok(!(entries instanceof AmqpFault));
        assert.deepEqual(Object.fromEntries(entries.map(([key, value]) => [key.value, value.value])), application);
        assert.equal(sections.bodyKind, SectionCode.data);
        assert.deepEqual(new Uint8Array(bytes.subarray(sections.dataStart, sections.dataEnd)), data);
      },
    ),
    { numRuns: 300 },
  );
});

test('they read messages of ours', () => {
  fc.assert(
    fc.property(messageProperties.filter(plainIds), fc.uint8Array({ maxLength: 300, size: 'max' }), (properties, data) => {
      const writer = new ValueWriter();
      const header = new Uint8Array(maxHeaderBytes);
      writer.raw(header, 0, writeHeader(header, 0, { durable: true, priority: 9, ttl: 1, firstAcquirer: false, deliveryCount: 70_000 }));
      writePropertiesSection(writer, properties);
      writeDataHead(writer, data.length);
      writer.raw(data);
      const theirs = theirMessages.decode(Buffer.from(writer.copy()));
      assert.deepEqual([theirs['durable'], theirs['priority'], theirs['ttl'], theirs['delivery_count']], [true, 9, 1, 70_000]);
      const { messageId, correlationId, absoluteExpiryTime: expiry, creationTime, ...rest } = properties;
      assert.equal(theirs['message_id'], messageId?.value);
      assert.equal(theirs['correlation_id'], correlationId?.value);
      for (const [name, value] of Object.entries(rest)) {
        if (value instanceof Uint8Array) assert.deepEqual(new Uint8Array(theirs[snakeCase(name)] as Buffer), value);
        else if (name !== 'type') assert.equal(theirs[snakeCase(name)], value);
      }
      assert.equal(
        (theirs['absolute_expiry_time'] as Date | undefined)?.getTime(),
        expiry === undefined ? undefined : new Date(expiry).getTime(),
      );
      assert.equal(
        (theirs['creation_time'] as Date | undefined)?.getTime(),
        creationTime === undefined ? undefined : new Date(creationTime).getTime(),
      );
      assert.deepEqual(new Uint8Array((theirs['body'] as { content: Buffer }).content), data);
    }),
    { numRuns: 300 },
  );
});

test('what they make of an empty frame is one', () => {
  const bytes = theirFrames.write_frame(theirFrames.amqp_frame(0, undefined));
  assert.deepEqual(
    new Uint8Array(bytes),
    outputOf((output) => new FrameWriter(output).empty()),
  );
  assert.deepEqual(inOurWords({ type: { typecode: 0x40 }, value: null }), nullValue);
});
