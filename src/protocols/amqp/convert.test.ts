import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Attributes, withFields } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import { readAttributes, writeAttributes } from '../../broker/journal/attributes-codec.ts';
import { RecordReader } from '../../broker/journal/record-reader.ts';
import { recordVersion } from '../../broker/journal/records.ts';
import { RowWriter } from '../../broker/journal/row-writer.ts';
import { forEachRecord } from '../../store/row.ts';
import { AmqpAttributes } from './amqp-attributes.ts';
import { Annotation } from './annotations.ts';
import { type AmqpValue, encodeValue, HeaderFields, decodeHeader, MessageSections, scanMessage } from './codec/index.ts';
import { IncomingMessage, lostBetweenAmqp, lostFromAmqp } from './convert.ts';
import { type DeliveryFacts, OutgoingMessage } from './outgoing-message.ts';
import { anyMessage } from './testing/any-message.ts';
import { dataMessage } from './testing/peer-frames.ts';

const atMostOnce: DeliveryFacts = {
  retained: false,
  guarantee: 0,
  redelivered: false,
  deliveryCount: 0,
  showsTopic: false,
  showsSender: false,
};
const nowMs = 1_000_000;

function read(bytes: Uint8Array, messageFormat = 0): IncomingMessage {
  const incoming = new IncomingMessage();
  const fault = incoming.read(bytes, 0, bytes.length, messageFormat, nowMs, 'topic');
  assert.equal(fault, undefined);
  return incoming;
}

/** As the broker has it: the payload elsewhere, the buffer of the socket gone. */
function taken(bytes: Uint8Array, messageFormat = 0): Message {
  // Somewhere in a larger buffer, as transfers are.
  const buffer = new Uint8Array(bytes.length + 20);
  buffer.set(bytes, 7);
  const incoming = new IncomingMessage();
  const fault = incoming.read(buffer, 7, 7 + bytes.length, messageFormat, nowMs, 'topic');
  assert.equal(fault, undefined);
  const message = messageOf(incoming, buffer).kept();
  buffer.fill(0xee);
  return message;
}

function messageOf(incoming: IncomingMessage, buffer: Uint8Array): Message {
  const { payloadStart, payloadEnd, retain, priority, expiresAtMs, attributes } = incoming;
  return neutral('a', buffer.subarray(payloadStart, payloadEnd), attributes, { retain, priority, expiresAtMs });
}

function neutral(
  topic: string,
  payload: Uint8Array,
  attributes?: Attributes,
  more: { retain?: boolean; priority?: number; expiresAtMs?: number } = {},
): Message {
  const { retain = false, priority = 4, expiresAtMs = 0 } = more;
  return new Message(topic, Buffer.from(topic), payload, 0, payload.length, 1, retain, priority, expiresAtMs, 0, 'somebody', attributes);
}

function withAttributes(message: Message, attributes: Attributes | undefined): Message {
  const { retain, priority, expiresAtMs } = message;
  return neutral(message.topic, message.payload(), attributes, { retain, priority, expiresAtMs });
}

/** As the journal gives it back. */
function stored(attributes: Attributes | undefined): Attributes | undefined {
  if (attributes === undefined) return undefined;
  const writer = new RowWriter();
  writer.begin(1);
  writeAttributes(writer, attributes);
  writer.end();
  let attributesRead: Attributes | undefined;
  const row = writer.finish();
  forEachRecord(row, (_index, _kind, start, end) => {
    const reader = new RecordReader(row, start, end);
    reader.version = recordVersion;
    attributesRead = readAttributes(reader);
  });
  return attributesRead;
}

const outgoing = new OutgoingMessage();

function written(message: Message, facts: DeliveryFacts = atMostOnce): Uint8Array {
  outgoing.set(message, facts, nowMs);
  const bytes = outgoing.copy();
  assert.equal(bytes.length, outgoing.length);
  return bytes;
}

function sectionsOf(bytes: Uint8Array) {
  const sections = new MessageSections();
  assert.equal(scanMessage(bytes, 0, bytes.length, sections), undefined);
  const range = (start: number, end: number): Buffer => Buffer.from(bytes.subarray(Math.max(start, 0), Math.max(end, 0)));
  const bareEnd = Math.max(sections.bareEnd, sections.messageAnnotationsEnd, sections.keptStart);
  return {
    bare: range(sections.bareStart, sections.bareEnd),
    annotations: range(sections.keptStart, sections.messageAnnotationsEnd),
    footer: sections.footerStart < 0 ? Buffer.alloc(0) : range(bareEnd, bytes.length),
    header: sections.headerStart < 0 ? undefined : headerOf(bytes, sections),
  };
}

function plain({ durable, priority, ttl, firstAcquirer, deliveryCount }: HeaderFields) {
  return { durable, priority, ttl, firstAcquirer, deliveryCount };
}

function headerOf(bytes: Uint8Array, { headerStart, headerEnd }: MessageSections): HeaderFields {
  const header = new HeaderFields();
  assert.equal(decodeHeader(bytes, headerStart, headerEnd, header), undefined);
  return header;
}

describe('from AMQP to AMQP', () => {
  it('leaves the bare message, the annotations and the footer as they are, in whatever encoding', () => {
    fc.assert(
      fc.property(anyMessage, fc.constantFrom(0, 0, 7, 0xffff_ffff), (message, format) => {
        const kept = taken(message.bytes, format);
        for (const attributes of [kept.attributes, stored(kept.attributes)]) {
          const sections = sectionsOf(written(withAttributes(kept, attributes)));
          assert.deepEqual(sections.bare, Buffer.from(message.bare));
          assert.deepEqual(sections.annotations, Buffer.from(message.annotations ?? []));
          assert.deepEqual(sections.footer, Buffer.from(message.footer ?? []));
          assert.equal(outgoing.messageFormat, format);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('is stored as what came, and is read when somebody asks, also after a restart', () => {
    const properties = encodeValue({ type: 'list', value: [{ type: 'string', value: 'id-1' }] });
    const bytes = Buffer.concat([Buffer.from([0, 0x53, 0x73]), properties, dataMessage('x')]);
    const message = taken(new Uint8Array(bytes));
    const death = { reason: 'rejected', from: '$queue/q', diedAtMs: 5 };
    for (const attributes of [stored(message.attributes), stored(new AmqpAttributes(message.attributes!.residue!.bytes, 7, death))]) {
      assert.equal(attributes!.isReadFromResidue, true);
      assert.deepEqual(attributes!.messageId, { type: 'string', value: 'id-1' });
    }
    const dead = stored(withFields(message.attributes, { death, deliverAtMs: 7 }))!;
    assert.deepEqual([dead.death, dead.deliverAtMs, dead.messageId], [death, 7, { type: 'string', value: 'id-1' }]);
    assert.deepEqual(written(withAttributes(message, stored(message.attributes))), new Uint8Array(bytes));
  });

  it('says what it loses', () => {
    assert.deepEqual([new Set(lostBetweenAmqp).size, new Set(lostFromAmqp).size], [lostBetweenAmqp.length, lostFromAmqp.length]);
  });

  it('keeps nothing of a message that is a data section', () => {
    for (const bytes of [dataMessage('hello'), dataMessage('x'.repeat(255)), dataMessage('x'.repeat(256)), dataMessage('')]) {
      const message = taken(bytes);
      assert.equal(message.attributes, undefined);
      assert.deepEqual(written(message), bytes);
    }
  });

  it('makes the header anew', () => {
    const fields = (...value: AmqpValue[]) => Buffer.concat([Buffer.from([0, 0x53, 0x70]), encodeValue({ type: 'list', value })]);
    const sent = fields({ type: 'boolean', value: true }, { type: 'ubyte', value: 200 }, { type: 'uint', value: 5000 });
    const properties = Buffer.from([0, 0x53, 0x73, 0x45]);
    const message = taken(new Uint8Array(Buffer.concat([sent, properties, dataMessage('x')])));
    assert.equal(message.priority, 9);
    assert.equal(message.expiresAtMs, nowMs + 5000);
    const first = sectionsOf(written(message, { ...atMostOnce, guarantee: 1 })).header!;
    assert.deepEqual(plain(first), { durable: true, priority: 9, ttl: 5000, firstAcquirer: true, deliveryCount: 0 });
    outgoing.set(message, { ...atMostOnce, guarantee: 1, redelivered: true, deliveryCount: 3 }, nowMs + 4000);
    const later = sectionsOf(outgoing.copy()).header!;
    assert.deepEqual(plain(later), { durable: true, priority: 9, ttl: 1000, firstAcquirer: false, deliveryCount: 3 });
    // Of a message that is about to expire the time that is left is never 0.
    outgoing.set(message, atMostOnce, nowMs + 5000);
    assert.equal(sectionsOf(outgoing.copy()).header!.ttl, 1);
  });

  it('takes annotations that consumers have added, and says why a message is dead', () => {
    const annotated = (entries: Record<string, AmqpValue>) =>
      Buffer.concat([
        Buffer.from([0, 0x53, 0x72]),
        encodeValue({ type: 'map', value: Object.entries(entries).map(([key, value]) => [{ type: 'symbol', value: key }, value]) }),
      ]);
    const one: AmqpValue = { type: 'uint', value: 1 };
    const two: AmqpValue = { type: 'uint', value: 2 };
    const bytes = new Uint8Array(
      Buffer.concat([annotated({ a: one, b: one, [Annotation.sender]: { type: 'string', value: 'me' } }), dataMessage('x')]),
    );
    const message = taken(bytes);
    // What only the broker may say is gone.
    assert.deepEqual(sectionsOf(written(message)).annotations, annotated({ a: one, b: one }));
    const { residue } = message.attributes!;
    const death = { reason: 'rejected', description: 'bad', from: '$queue/q', diedAtMs: 5 };
    const dead = withAttributes(message, { residue, death, annotations: [{ key: 'b', value: two as never }] });
    const expected = annotated({
      a: one,
      [Annotation.sender]: { type: 'string', value: 'somebody' },
      b: two,
      [Annotation.deathReason]: { type: 'string', value: 'rejected' },
      [Annotation.deathDescription]: { type: 'string', value: 'bad' },
      [Annotation.deathFrom]: { type: 'string', value: '$queue/q' },
      [Annotation.deathTime]: { type: 'timestamp', value: 5n },
    });
    assert.deepEqual(sectionsOf(written(dead, { ...atMostOnce, showsSender: true })).annotations, expected);
  });

  it('tells the topic on links that may get messages of several', () => {
    const plain = written(taken(dataMessage('x')), { ...atMostOnce, showsTopic: true });
    assert.deepEqual(
      plain,
      new Uint8Array(Buffer.concat([Buffer.from([0, 0x53, 0x73, 0xc0, 6, 3, 0x40, 0x40, 0xa1, 1, 0x61]), dataMessage('x')])),
    );
    const own = new Uint8Array(Buffer.concat([Buffer.from([0, 0x53, 0x73, 0x45]), dataMessage('x')]));
    const sections = sectionsOf(written(taken(own), { ...atMostOnce, showsTopic: true }));
    assert.deepEqual(sections.bare, Buffer.from(own));
    assert.ok(sections.annotations.includes('x-opt-topic'));
  });
});

describe('what the broker must know of an AMQP message', () => {
  const annotations = (key: string, value: AmqpValue) =>
    Buffer.concat([Buffer.from([0, 0x53, 0x72]), encodeValue({ type: 'map', value: [[{ type: 'symbol', value: key }, value]] })]);
  const withAnnotation = (key: string, value: AmqpValue) => new Uint8Array(Buffer.concat([annotations(key, value), dataMessage('x')]));

  it('is whether it sets a last value', () => {
    assert.equal(read(withAnnotation(Annotation.retain, { type: 'boolean', value: true })).retain, true);
    assert.equal(read(withAnnotation(Annotation.retain, { type: 'boolean', value: false })).retain, false);
    const wrong = withAnnotation(Annotation.retain, { type: 'uint', value: 1 });
    assert.equal(new IncomingMessage().read(wrong, 0, wrong.length, 0, nowMs, 'topic')?.condition, 'amqp:invalid-field');
  });

  it('is when it is to be delivered: as a time, or as a delay', () => {
    const deliverAt = (key: string, value: AmqpValue) => read(withAnnotation(key, value)).attributes!.deliverAtMs;
    assert.equal(deliverAt(Annotation.deliveryTime, { type: 'long', value: BigInt(nowMs + 5) }), nowMs + 5);
    assert.equal(deliverAt(Annotation.deliveryTime, { type: 'timestamp', value: BigInt(nowMs + 5) }), nowMs + 5);
    assert.equal(deliverAt(Annotation.scheduledEnqueueTime, { type: 'timestamp', value: BigInt(nowMs + 5) }), nowMs + 5);
    assert.equal(deliverAt(Annotation.deliveryTime, { type: 'long', value: BigInt(nowMs - 5) }), undefined);
    assert.equal(deliverAt(Annotation.deliveryDelay, { type: 'long', value: 70n }), nowMs + 70);
    assert.equal(deliverAt(Annotation.deliveryDelay, { type: 'uint', value: 70 }), nowMs + 70);
    assert.equal(deliverAt(Annotation.deliveryDelay, { type: 'string', value: '70' }), undefined);
  });

  it('is when it expires: the earlier of ttl and absolute-expiry-time, of which 0 says nothing', () => {
    const message = (ttl: number, expiry: bigint) => {
      const head = encodeValue({
        type: 'list',
        value: [
          { type: 'boolean', value: false },
          { type: 'null', value: null },
          { type: 'uint', value: ttl },
        ],
      });
      const nulls = Array.from({ length: 8 }, (): AmqpValue => ({ type: 'null', value: null }));
      const properties = encodeValue({ type: 'list', value: [...nulls, { type: 'timestamp', value: expiry }] });
      return read(
        new Uint8Array(Buffer.concat([Buffer.from([0, 0x53, 0x70]), head, Buffer.from([0, 0x53, 0x73]), properties, dataMessage('x')])),
      ).expiresAtMs;
    };
    assert.equal(message(10, BigInt(nowMs + 20)), nowMs + 10);
    assert.equal(message(30, BigInt(nowMs + 20)), nowMs + 20);
    assert.equal(message(0, BigInt(nowMs + 20)), nowMs + 20);
    assert.equal(message(10, 0n), nowMs + 10);
    assert.equal(message(0, 0n), 0);
  });

  it('is its text, if it is a string: a message of text for everybody', () => {
    const bytes = new Uint8Array(Buffer.concat([Buffer.from([0, 0x53, 0x77]), encodeValue({ type: 'string', value: 'grün' })]));
    const message = taken(bytes);
    assert.equal(Buffer.from(message.payload()).toString(), 'grün');
    assert.equal(message.attributes!.payloadFormat, 'utf8');
    assert.equal(message.attributes!.contentType, undefined);
  });

  it('is its encoding, if it is anything else', () => {
    const bytes = new Uint8Array(Buffer.concat([Buffer.from([0, 0x53, 0x77]), encodeValue({ type: 'uint', value: 7 })]));
    const message = taken(bytes);
    assert.deepEqual(Buffer.from(message.payload()), Buffer.from(bytes));
    assert.equal(message.attributes!.contentType, 'application/amqp');
  });

  it('is nothing, where a message is none', () => {
    const bad = [
      [1, 2, 3],
      [0, 0x53],
      [0, 0x53, 0x75, 0xa0, 9],
      [0, 0x53, 0x75, 0x40],
      [0, 0x53, 0x74, 0x45],
      // In a wrong order, and twice.
      [0, 0x53, 0x75, 0xa0, 0, 0, 0x53, 0x73, 0x45],
      [0, 0x53, 0x73, 0x45, 0, 0x53, 0x73, 0x45],
      [0, 0x53, 0x77, 0x40, 0, 0x53, 0x77, 0x40],
      [0, 0x53, 0x75, 0xa0, 0, 0, 0x53, 0x76, 0x45],
      // Properties, application properties and footer that hold what nobody can read.
      [0, 0x53, 0x73, 0xc0, 3, 1, 0xa1, 9],
      [0, 0x53, 0x74, 0xc1, 4, 2, 0xa1, 0, 0x01],
      [0, 0x53, 0x75, 0xa0, 0, 0, 0x53, 0x78, 0xc1, 4, 2, 0xa3, 0, 0x46],
      // A string that is no UTF-8.
      [0, 0x53, 0x77, 0xa1, 1, 0xff],
    ];
    for (const bytes of bad) {
      const fault = new IncomingMessage().read(Uint8Array.from(bytes), 0, bytes.length, 0, nowMs, 'topic');
      assert.equal(fault?.condition, 'amqp:decode-error', bytes.join(' '));
    }
  });
});
