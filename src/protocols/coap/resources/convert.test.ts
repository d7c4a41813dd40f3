import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Attributes } from '../../../message/attributes.ts';
import { defaultPriority, Message } from '../../../message/message.ts';
import { IncomingMessage } from '../../amqp/convert.ts';
import { OutgoingMessage } from '../../amqp/outgoing-message.ts';
import { toMqtt, toNeutral } from '../../mqtt/convert.ts';
import { contentFormat, contentFormatNumber, contentFormats } from '../codec/index.ts';
import { attributesOf, formatOf, isAcceptable, lostFromCoap, lostToCoap, maxAgeOf } from './convert.ts';

const nowMs = 1_000_000;

function messageOf(attributes: Attributes | undefined, payload: Uint8Array, expiresAtMs = 0): Message {
  return new Message('a', Buffer.from('a'), payload, 0, payload.length, 1, false, defaultPriority, expiresAtMs, nowMs, 'x', attributes);
}

/** What an MQTT 5 client that repeats what it gets makes of it. */
function throughMqtt(message: Message): Message {
  const { attributes } = toNeutral(toMqtt(message.attributes, message.priority));
  return messageOf(attributes, message.payload());
}

/** The same of AMQP. */
function throughAmqp(message: Message): Message {
  const outgoing = new OutgoingMessage();
  outgoing.set(
    message,
    { retained: false, guarantee: 0, redelivered: false, deliveryCount: 0, showsTopic: false, showsSender: false },
    nowMs,
  );
  const bytes = outgoing.copy();
  const incoming = new IncomingMessage();
  assert.equal(incoming.read(bytes, 0, bytes.length, outgoing.messageFormat, nowMs, 'topic'), undefined);
  return messageOf(incoming.attributes, bytes.subarray(incoming.payloadStart, incoming.payloadEnd));
}

const registered = fc.constantFrom(-1, ...contentFormats().map(({ number }) => number));

test('what a CoAP peer says comes back through MQTT and through AMQP', () => {
  fc.assert(
    fc.property(registered, fc.uint8Array({ maxLength: 100 }), (format, payload) => {
      const message = messageOf(attributesOf(format), payload);
      for (const back of [message, throughMqtt(message), throughAmqp(message), throughAmqp(throughMqtt(message))]) {
        assert.equal(formatOf(back.attributes), format);
        assert.deepEqual(Buffer.from(back.payload()), Buffer.from(payload));
      }
    }),
    { numRuns: 300 },
  );
});

test('a number that stands for nothing here comes back to CoAP peers', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), (format) => {
      fc.pre(contentFormat(format) === undefined);
      assert.equal(formatOf(attributesOf(format)), format);
    }),
  );
});

const someText = fc.string({ minLength: 1, maxLength: 8 });
const id = fc.record({ type: fc.constant('string' as const), value: someText });
const anyAttributes: fc.Arbitrary<Attributes> = fc.record(
  {
    payloadFormat: fc.constantFrom('bytes' as const, 'utf8' as const),
    contentType: fc.oneof(
      someText,
      fc.constantFrom('application/json', 'Application/JSON', 'text/plain;charset=UTF-8', 'application/cbor'),
    ),
    contentEncoding: fc.oneof(someText, fc.constant('deflate')),
    properties: fc.array(fc.record({ key: someText, value: id }), { maxLength: 2 }),
    correlation: id,
    messageId: id,
    replyTo: fc.record({ kind: fc.constantFrom('topic' as const, 'queue' as const), name: someText }),
    subject: someText,
    groupId: someText,
    groupSequence: fc.nat(),
    deliverAtMs: fc.nat(),
    residue: fc.record({ protocol: fc.constantFrom('amqp', 'mqtt5'), bytes: fc.uint8Array({ maxLength: 4 }) }),
  },
  { requiredKeys: [] },
);

test('nothing is lost to a CoAP peer but what is said to be', () => {
  const declared = (field: string): boolean => lostToCoap.some((one) => one === field || new RegExp(`^${field}\\b`).test(one));
  fc.assert(
    fc.property(anyAttributes, (attributes) => {
      const back = attributesOf(formatOf(attributes));
      const { contentType, contentEncoding } = attributes;
      const hasNumber = contentType !== undefined && contentFormatNumber(contentType, contentEncoding) !== undefined;
      for (const field of Object.keys(attributes) as (keyof Attributes)[]) {
        if (!hasNumber || (field !== 'contentType' && field !== 'contentEncoding')) assert.ok(declared(field), field);
      }
      if (!hasNumber) return;
      // Another spelling of the same.
      assert.equal(contentFormatNumber(back!.contentType!, back!.contentEncoding), contentFormatNumber(contentType, contentEncoding));
    }),
    { numRuns: 500 },
  );
});

test('nothing is declared twice, and nothing that is kept', () => {
  assert.equal(new Set(lostToCoap).size, lostToCoap.length);
  assert.deepEqual(lostFromCoap, ['token: it names the exchange, not the message']);
});

test('how long a message is fresh: never longer than it lives', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 600 }), (leftMs, maxAgeSec) => {
      const seconds = maxAgeOf(messageOf(undefined, new Uint8Array(0), nowMs + leftMs), nowMs, maxAgeSec);
      assert.ok(seconds * 1000 <= leftMs && seconds <= maxAgeSec && (seconds === maxAgeSec || (seconds + 1) * 1000 > leftMs));
    }),
  );
  assert.equal(maxAgeOf(messageOf(undefined, new Uint8Array(0)), nowMs, 60), 60);
});

test('what an Accept takes', () => {
  assert.deepEqual(
    [
      [-1, 50],
      [50, 50],
      [50, 0],
      [42, -1],
      [0, -1],
    ].map(([accept, format]) => isAcceptable(accept!, format!)),
    [true, true, false, true, false],
  );
});
