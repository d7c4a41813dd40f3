import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Attributes, MessageId, Property, TypedValue } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import {
  type AmqpEntry,
  type AmqpValue,
  encodeValue,
  SectionCode,
  symbolValue,
  trueValue,
  ValueWriter,
  writeDataHead,
  writeMapSection,
  writePropertiesSection,
} from './codec/index.ts';
import { IncomingMessage, lostFromAmqp } from './convert.ts';
import { type DeliveryFacts, OutgoingMessage } from './outgoing-message.ts';
import { lostToAmqp } from './outgoing-properties.ts';

const facts: DeliveryFacts = { retained: false, guarantee: 1, redelivered: false, deliveryCount: 0, showsTopic: false, showsSender: false };
const nowMs = 1_000_000;

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: fc.constantFrom('a', '\0', '\ud800', '\udc00', 'ü') }),
  fc.constantFrom('x'.repeat(255), 'x'.repeat(256)),
);
const binary = fc.uint8Array({ maxLength: 8 });
const uuid = fc.oneof(
  fc.uuid(),
  fc.uuid().map((text) => text.toUpperCase()),
  anyText,
);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const typedValue = fc.oneof(
  fc.record({ type: fc.constantFrom('string', 'symbol'), value: anyText }),
  fc.record({ type: fc.constant('uuid'), value: uuid }),
  fc.record({ type: fc.constant('boolean'), value: fc.boolean() }),
  fc.record({ type: fc.constant('byte'), value: fc.integer({ min: -128, max: 127 }) }),
  fc.record({ type: fc.constant('short'), value: fc.integer({ min: -32_768, max: 32_767 }) }),
  fc.record({ type: fc.constant('int'), value: fc.integer() }),
  fc.record({ type: fc.constant('ubyte'), value: fc.nat(255) }),
  fc.record({ type: fc.constant('ushort'), value: fc.nat(65_535) }),
  fc.record({ type: fc.constant('uint'), value: fc.nat(0xffff_ffff) }),
  fc.record({ type: fc.constantFrom('long', 'timestamp'), value: int64 }),
  fc.record({ type: fc.constant('ulong'), value: uint64 }),
  fc.record({ type: fc.constant('double'), value: fc.double() }),
  fc.record({ type: fc.constant('float'), value: fc.float() }),
  fc.record({ type: fc.constant('binary'), value: binary }),
  fc.constant({ type: 'null', value: null }),
) as fc.Arbitrary<TypedValue>;
const messageId = fc.oneof(
  fc.record({ type: fc.constantFrom('string', 'symbol'), value: anyText }),
  fc.record({ type: fc.constant('uuid'), value: uuid }),
  fc.record({ type: fc.constant('binary'), value: binary }),
  fc.record({ type: fc.constant('ulong'), value: uint64 }),
) as fc.Arbitrary<MessageId>;

const neutral = fc.record({
  attributes: fc.record(
    {
      payloadFormat: fc.constantFrom('bytes' as const, 'utf8' as const),
      contentType: anyText,
      contentEncoding: anyText,
      properties: fc.array(fc.record({ key: fc.oneof(anyText, fc.constantFrom('a', 'b')), value: typedValue }), {
        minLength: 1,
        maxLength: 4,
      }),
      correlation: messageId,
      messageId,
      replyTo: fc.record({
        kind: fc.constantFrom('topic' as const, 'queue' as const),
        name: fc.oneof(anyText, fc.constantFrom('queue:x', 'topic:x', '//x')),
      }),
      subject: anyText,
      groupId: anyText,
      groupSequence: fc.oneof(fc.nat(), fc.constantFrom(0xffff_ffff, 2 ** 40)),
      deliverAtMs: fc.nat(2_000_000),
      residue: fc.record({ protocol: fc.constant('mqtt5'), bytes: binary }),
    },
    { requiredKeys: [] },
  ),
  payload: fc.oneof(
    binary,
    fc.string().map((text) => new Uint8Array(Buffer.from(text))),
  ),
  priority: fc.nat(9),
  ttlMs: fc.oneof(fc.constant(0), fc.nat(1_000_000)),
  facts: fc.record({ showsTopic: fc.boolean(), showsSender: fc.boolean(), retained: fc.boolean() }),
});

const outgoing = new OutgoingMessage();

describe('from the neutral message to AMQP and back', () => {
  it('loses what is declared and nothing else', () => {
    fc.assert(
      fc.property(neutral, ({ attributes, payload, priority, ttlMs, facts: more }) => {
        const expiresAtMs = ttlMs === 0 ? 0 : nowMs + ttlMs;
        const message = new Message(
          'a/b',
          Buffer.from('a/b'),
          payload,
          0,
          payload.length,
          1,
          false,
          priority,
          expiresAtMs,
          0,
          'me',
          attributes,
        );
        outgoing.set(message, { ...facts, ...more }, nowMs);
        const bytes = outgoing.copy();
        const back = new IncomingMessage();
        assert.equal(back.read(bytes, 0, bytes.length, outgoing.messageFormat, nowMs, 'topic'), undefined);
        assert.deepEqual(Buffer.from(bytes.subarray(back.payloadStart, back.payloadEnd)), Buffer.from(payload));
        assert.deepEqual([back.priority, back.expiresAtMs, back.retain], [priority, expiresAtMs, more.retained]);
        assert.deepEqual(defined(back.attributes ?? {}), defined(withoutDeclaredLosses(attributes, payload)));
      }),
      { numRuns: 2000 },
    );
  });

  it('declares each loss once', () => {
    assert.equal(new Set(lostToAmqp).size, lostToAmqp.length);
    assert.equal(new Set(lostFromAmqp).size, lostFromAmqp.length);
  });

  it('takes a body back that was one', () => {
    const body = Buffer.concat([Buffer.from([0, 0x53, 0x77]), encodeValue({ type: 'list', value: [{ type: 'uint', value: 1 }] })]);
    const attributes = { contentType: 'application/amqp' };
    outgoing.set(
      new Message('a', Buffer.from('a'), body, 0, body.length, 0, false, 4, 0, 0, '', attributes),
      { ...facts, guarantee: 0 },
      nowMs,
    );
    const bytes = Buffer.from(outgoing.copy());
    assert.ok(bytes.subarray(-body.length).equals(body));
    assert.ok(!bytes.includes(Buffer.from([0, 0x53, 0x75])));
  });

  it('sends text that is declared to be text as a string', () => {
    const payload = Buffer.from('grün');
    const attributes = { payloadFormat: 'utf8' as const };
    outgoing.set(
      new Message('a', Buffer.from('a'), payload, 0, payload.length, 0, false, 4, 0, 0, '', attributes),
      { ...facts, guarantee: 0 },
      nowMs,
    );
    assert.deepEqual(
      outgoing.copy(),
      new Uint8Array(Buffer.concat([Buffer.from([0, 0x53, 0x77]), encodeValue({ type: 'string', value: 'grün' })])),
    );
  });

  it('makes the same head once', () => {
    const send = (text: string, more: Partial<DeliveryFacts> = {}, priority = 4) => {
      const payload = Buffer.from(text);
      outgoing.set(
        new Message('a', Buffer.from('a'), payload, 0, payload.length, 1, false, priority, 0, 0, '', undefined),
        { ...facts, ...more },
        nowMs,
      );
      return Buffer.from(outgoing.copy()).toString('hex');
    };
    const header = (...fields: AmqpValue[]) =>
      Buffer.concat([Buffer.from([0, 0x53, 0x70]), encodeValue({ type: 'list', value: fields })]).toString('hex');
    const yes: AmqpValue = { type: 'boolean', value: true };
    const no: AmqpValue = { type: 'boolean', value: false };
    const none: AmqpValue = { type: 'null', value: null };
    const data = (text: string) => Buffer.concat([Buffer.from([0, 0x53, 0x75, 0xa0, text.length]), Buffer.from(text)]).toString('hex');
    for (let i = 0; i < 2; i++) {
      assert.equal(send('ab'), header(yes, none, none, yes) + data('ab'));
      assert.equal(send('cd'), header(yes, none, none, yes) + data('cd'));
      assert.equal(send('abc'), header(yes, none, none, yes) + data('abc'));
      assert.equal(send('ab', { guarantee: 0 }), data('ab'));
      assert.equal(send('ab', { redelivered: true }), header(yes) + data('ab'));
      assert.equal(
        send('ab', { redelivered: true, deliveryCount: 2 }),
        header(yes, none, none, no, { type: 'uint', value: 2 }) + data('ab'),
      );
      assert.equal(send('ab', { guarantee: 0 }, 7), header(no, { type: 'ubyte', value: 7 }) + data('ab'));
    }
  });
});

// What `lostToAmqp` says, in code that shares nothing with what it tests.

function withoutDeclaredLosses(attributes: Attributes, payload: Uint8Array): Attributes {
  const {
    contentType,
    contentEncoding,
    properties,
    correlation,
    messageId: id,
    replyTo,
    subject,
    groupId,
    groupSequence,
    deliverAtMs,
  } = attributes;
  const isText = attributes.payloadFormat === 'utf8' && Buffer.from(Buffer.from(payload).toString()).equals(Buffer.from(payload));
  return {
    payloadFormat: isText ? 'utf8' : undefined,
    contentType: ascii(contentType),
    contentEncoding: ascii(contentEncoding),
    properties: properties?.map(({ key, value }): Property => ({ key: wellFormed(key), value: carried(value) })),
    correlation: correlation && identifier(correlation),
    messageId: id && identifier(id),
    replyTo: replyTo && { kind: replyTo.kind, name: wellFormed(replyTo.name) },
    subject: subject === undefined ? undefined : wellFormed(subject),
    groupId: groupId === undefined ? undefined : wellFormed(groupId),
    groupSequence: groupSequence !== undefined && groupSequence <= 0xffff_ffff ? groupSequence : undefined,
    deliverAtMs: deliverAtMs !== undefined && deliverAtMs > nowMs ? deliverAtMs : undefined,
  };
}

function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

function ascii(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  return Array.from(text, (character) => (character.codePointAt(0)! < 128 ? character : '?')).join('');
}

function carried(value: TypedValue): TypedValue {
  if (value.type === 'string') return { type: 'string', value: wellFormed(value.value) };
  if (value.type === 'symbol')
    return ascii(value.value) === value.value ? { ...value } : { type: 'string', value: wellFormed(value.value) };
  if (value.type === 'uuid') {
    const isOne = /^[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-[\da-fA-F]{12}$/.test(value.value);
    return isOne ? { type: 'uuid', value: value.value.toLowerCase() } : { type: 'string', value: wellFormed(value.value) };
  }
  // Without what fast-check makes objects of.
  return { ...value } as TypedValue;
}

function identifier(id: MessageId): MessageId {
  return id.type === 'symbol' ? { type: 'string', value: wellFormed(id.value) } : (carried(id) as MessageId);
}

function defined(attributes: Attributes): Record<string, unknown> {
  const { payloadFormat, contentType, contentEncoding, properties, correlation, messageId: id, replyTo, subject } = attributes;
  const { groupId, groupSequence, deliverAtMs } = attributes;
  const all = {
    payloadFormat,
    contentType,
    contentEncoding,
    properties,
    correlation,
    id,
    replyTo,
    subject,
    groupId,
    groupSequence,
    deliverAtMs,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

describe('one encoder for all messages', () => {
  /** Few of everything, so that much repeats. */
  const delivery = fc.record({
    topic: fc.constantFrom('a/b', 'ü', 'topic:x', 'x'.repeat(250), 'x'.repeat(251), '$queue/jobs'),
    payload: fc.constantFrom('', '1', '2'),
    expiresAtMs: fc.constantFrom(0, 0, nowMs + 500),
    attributes: fc.constantFrom<(Attributes | undefined)[]>(undefined, undefined, { subject: 's' }),
    facts: fc.record({
      retained: fc.constant(false),
      guarantee: fc.constantFrom(0 as const, 1 as const),
      redelivered: fc.boolean(),
      deliveryCount: fc.constantFrom(0, 0, 1),
      showsTopic: fc.boolean(),
      showsSender: fc.constantFrom(false, false, true),
    }),
  });
  // As addresses do: one array for all messages of a topic.
  const topicBytes = new Map<string, Uint8Array>();

  it('gives what a new one gives, whatever it has encoded before', () => {
    fc.assert(
      fc.property(fc.array(delivery, { maxLength: 12 }), (deliveries) => {
        for (const { topic, payload, expiresAtMs, attributes, facts } of deliveries) {
          const bytes = topicBytes.get(topic) ?? new Uint8Array(Buffer.from(topic));
          topicBytes.set(topic, bytes);
          const text = Buffer.from(payload);
          const message = new Message(topic, bytes, text, 0, text.length, 1, false, 4, expiresAtMs, 0, 'me', attributes);
          const fresh = new OutgoingMessage();
          fresh.set(message, facts, nowMs);
          outgoing.set(message, facts, nowMs);
          assert.deepEqual(outgoing.copy(), fresh.copy());
          const back = new IncomingMessage();
          const encoded = fresh.copy();
          assert.equal(back.read(encoded, 0, encoded.length, 0, nowMs, 'topic', true), undefined);
          const own = attributes === undefined ? undefined : back.attributes;
          assert.equal(own?.subject, attributes?.subject);
        }
      }),
    );
  });

  const annotations = fc.constantFrom<AmqpEntry[][]>(
    [],
    [[symbolValue('x-opt-retain'), trueValue]],
    [[symbolValue('x-opt-retain'), { type: 'boolean', value: false }]],
    [[symbolValue('x-opt-jms-dest'), { type: 'byte', value: 1 }]],
    [[symbolValue('x-opt-jms-dest'), { type: 'byte', value: 0 }]],
    [[symbolValue('x-opt-delivery-delay'), { type: 'uint', value: 5 }]],
    [[symbolValue('x-opt-delivery-time'), { type: 'timestamp', value: BigInt(nowMs + 1) }]],
    [[symbolValue('x-opt-topic'), { type: 'string', value: 'not true' }]],
    [[symbolValue('x-opt-retain'), { type: 'string', value: 'no' }]],
  );
  const incoming = new IncomingMessage();
  const shown = fc.record({ retained: fc.boolean(), showsTopic: fc.boolean(), showsSender: fc.boolean() });

  it('reads what a new one reads of AMQP, and gives it on the same way', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(annotations, fc.constantFrom('a/b', 'a/c'), shown, fc.nat(3)), { maxLength: 12 }), (messages) => {
        for (const [entries, topic, more, laterMs] of messages) {
          const writer = new ValueWriter();
          if (entries.length > 0) writeMapSection(writer, SectionCode.messageAnnotations, entries);
          writePropertiesSection(writer, { type: 'properties', subject: topic });
          writeDataHead(writer, 0);
          const bytes = writer.copy();
          const fresh = new IncomingMessage();
          const now = nowMs + laterMs;
          const fault = fresh.read(bytes, 0, bytes.length, 0, now, 'topic');
          assert.deepEqual(incoming.read(bytes, 0, bytes.length, 0, now, 'topic'), fault);
          if (fault !== undefined) continue;
          assert.deepEqual([incoming.retain, incoming.toType, incoming.expiresAtMs], [fresh.retain, fresh.toType, fresh.expiresAtMs]);
          const { attributes } = incoming;
          assert.equal(attributes?.deliverAtMs, fresh.attributes?.deliverAtMs);
          assert.deepEqual(attributes?.residue, fresh.attributes?.residue);
          const own = topicBytes.get(topic) ?? new Uint8Array(Buffer.from(topic));
          topicBytes.set(topic, own);
          const message = new Message(topic, own, bytes, incoming.payloadStart, incoming.payloadEnd, 1, false, 4, 0, 0, 'me', attributes);
          const other = new OutgoingMessage();
          other.set(message, { ...facts, ...more }, now);
          outgoing.set(message, { ...facts, ...more }, now);
          assert.deepEqual(outgoing.copy(), other.copy());
        }
      }),
    );
  });
});
