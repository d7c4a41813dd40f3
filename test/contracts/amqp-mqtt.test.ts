// What crosses from AMQP to MQTT 5 and back, by the converters of both and the neutral message between them: all but what they
// declare to lose.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Attributes, Property } from '../../src/message/attributes.ts';
import { Message } from '../../src/message/message.ts';
import { IncomingMessage } from '../../src/protocols/amqp/convert.ts';
import { OutgoingMessage } from '../../src/protocols/amqp/outgoing-message.ts';
import { anyMessage } from '../../src/protocols/amqp/testing/any-message.ts';
import { toMqtt, toNeutral } from '../../src/protocols/mqtt/convert.ts';

const facts = { retained: false, guarantee: 1, redelivered: false, deliveryCount: 0, showsTopic: false, showsSender: false } as const;
const nowMs = 1_000_000;
const outgoing = new OutgoingMessage();
const incoming = new IncomingMessage();

type Crossing = { readonly attributes: Attributes | undefined; readonly priority: number; readonly payload: Uint8Array };

function toAmqp({ attributes, priority, payload }: Crossing): Uint8Array {
  const message = new Message('a', Buffer.from('a'), payload, 0, payload.length, 1, false, priority, 0, 0, '', attributes);
  outgoing.set(message, facts, nowMs);
  return outgoing.copy();
}

function fromAmqp(bytes: Uint8Array): Crossing {
  assert.equal(incoming.read(bytes, 0, bytes.length, 0, nowMs, 'topic'), undefined);
  const { attributes, priority, payloadStart, payloadEnd } = incoming;
  return { attributes, priority, payload: new Uint8Array(bytes.subarray(payloadStart, payloadEnd)) };
}

/** As an MQTT 5 peer gets it, and sends it on as it got it. */
function throughMqtt({ attributes, priority, payload }: Crossing): Crossing {
  return { ...toNeutral(toMqtt(attributes, priority)), payload };
}

/** A text that both protocols carry, and that no converter takes for something else. */
const text = fc.string({ unit: fc.constantFrom('a', 'ü', '/', ' ', '😀', '9'), minLength: 1, maxLength: 8 });
const string = text.map((value) => ({ type: 'string', value }) as const);
const media = fc.constantFrom('text/plain', 'application/json', 'gzip');

/** What both have words for. */
const common: fc.Arbitrary<Crossing> = fc.record({
  attributes: fc
    .record(
      {
        payloadFormat: fc.constant('utf8' as const),
        contentType: media,
        contentEncoding: media,
        properties: fc.array(fc.record({ key: text, value: string }), { minLength: 1, maxLength: 4 }),
        correlation: fc.uint8Array({ maxLength: 8 }).map((value) => ({ type: 'binary', value }) as const),
        messageId: string,
        replyTo: fc.record({ kind: fc.constantFrom('topic' as const, 'queue' as const), name: text }, { noNullPrototype: true }),
      },
      { requiredKeys: [] },
    )
    .filter((attributes) => Object.keys(attributes).length > 0),
  priority: fc.nat(9),
  payload: text.map((value) => new Uint8Array(Buffer.from(value))),
});

function fieldsOf({ attributes = {}, priority, payload }: Crossing): unknown {
  const { payloadFormat, contentType, contentEncoding, properties, correlation, messageId, replyTo } = attributes;
  return {
    payloadFormat,
    contentType,
    contentEncoding,
    properties: properties && plain(properties),
    correlation,
    messageId,
    replyTo,
    priority,
    payload,
  };
}

function plain(properties: readonly Property[]): unknown {
  return properties.map(({ key, value }) => ({ key, value: { ...value } }));
}

describe('between AMQP and MQTT 5', () => {
  it('what both have words for arrives, whichever way it goes, duplicates and all', () => {
    fc.assert(
      fc.property(common, (sent) => {
        const inMqtt = throughMqtt(fromAmqp(toAmqp(sent)));
        assert.deepEqual(fieldsOf(inMqtt), fieldsOf(sent));
        assert.deepEqual(fieldsOf(fromAmqp(toAmqp(inMqtt))), fieldsOf(sent));
        assert.deepEqual(fieldsOf(fromAmqp(toAmqp(throughMqtt(sent)))), fieldsOf(sent));
      }),
      { numRuns: 1000 },
    );
  });

  it('any AMQP message arrives with its payload, and comes back with a body of the same content', () => {
    fc.assert(
      fc.property(anyMessage, ({ bytes }) => {
        const sent = fromAmqp(bytes);
        const inMqtt = throughMqtt(sent);
        assert.deepEqual(inMqtt.payload, sent.payload);
        assert.equal(inMqtt.priority, sent.priority);
        const back = fromAmqp(toAmqp(inMqtt));
        assert.deepEqual(back.payload, sent.payload);
        assert.equal(back.attributes?.contentType === 'application/amqp', sent.attributes?.contentType === 'application/amqp');
      }),
      { numRuns: 1000 },
    );
  });
});
