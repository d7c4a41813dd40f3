import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Attributes, MessageId, Property } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import { IncomingMessage } from '../amqp/convert.ts';
import { OutgoingMessage } from '../amqp/outgoing-message.ts';
import { toMqtt, toNeutral } from '../mqtt/convert.ts';
import { headersOf, lostFromHttp, lostToHttp, readHeaders } from './convert.ts';
import { readItem, valueOfMessage } from './message-value.ts';

const nowMs = 1_700_000_000_000;
const text = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' });
const id: fc.Arbitrary<MessageId> = fc.oneof(
  text.map((value) => ({ type: 'string' as const, value })),
  fc.uint8Array({ maxLength: 20 }).map((value) => ({ type: 'binary' as const, value: new Uint8Array(value) })),
);
const property: fc.Arbitrary<Property> = fc.record({ key: text, value: id as fc.Arbitrary<Property['value']> });
const attributes: fc.Arbitrary<Attributes> = fc.record(
  {
    contentType: fc.constantFrom('text/plain', 'application/json; x=1'),
    contentEncoding: fc.constantFrom('gzip', 'br'),
    payloadFormat: fc.constant('utf8' as const),
    correlation: id,
    messageId: id,
    replyTo: fc.record({
      kind: fc.constantFrom('topic' as const, 'queue' as const),
      name: text.filter((name) => !name.startsWith('$queue/')),
    }),
    subject: text,
    groupId: text,
    groupSequence: fc.nat(),
    deliverAtMs: fc.nat(1000).map((seconds) => nowMs + seconds * 1000),
    properties: fc.array(property, { minLength: 1, maxLength: 5 }),
  },
  { requiredKeys: [] },
);

function messageWith(given: Attributes, priority: number): Message {
  const payload = new TextEncoder().encode('payload');
  return new Message('a/b', new TextEncoder().encode('a/b'), payload, 0, payload.length, 1, false, priority, nowMs + 60_000, 0, '', given);
}

function rawOf(headers: Record<string, string | readonly string[]>): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).flatMap((each) => [name.toLowerCase(), each]),
  );
}

/** What is taken as lost in both directions has to stand in both lists. */
const orderIsLost = 'order of properties with different names';

function sorted(properties: readonly Property[] | undefined): Property[] | undefined {
  for (const lost of [lostFromHttp, lostToHttp]) assert.ok(lost.some((each) => each.startsWith(orderIsLost)));
  return properties?.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

const plain = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

describe('fields of messages and HTTP', () => {
  it('come back from headers, as lower case as HTTP/2 makes them', () => {
    fc.assert(
      fc.property(attributes, fc.nat(9), (given, priority) => {
        const raw = rawOf(headersOf(messageWith(given, priority)));
        for (let i = 1; i < raw.length; i += 2) assert.match(raw[i]!, /^[ -~]*$/);
        const told = readHeaders(raw, nowMs);
        assert.ok(typeof told !== 'string', JSON.stringify(told));
        assert.equal(told.priority, priority);
        assert.equal(told.expiresAtMs, nowMs + 60_000);
        const { contentType, ...back } = told.attributes ?? {};
        const { contentType: sent, ...rest } = given;
        // A body without a type is declared to be bytes, or text.
        if (sent !== undefined) assert.equal(contentType, sent);
        assert.deepEqual(plain({ ...back, properties: sorted(back.properties) }), plain({ ...rest, properties: sorted(rest.properties) }));
      }),
    );
  });

  it('come back from JSON, and from CBOR', () => {
    fc.assert(
      fc.property(attributes, fc.constantFrom('json' as const, 'cbor' as const), (given, form) => {
        const value = valueOfMessage(messageWith(given, 4), form);
        const item = readItem(form === 'json' ? plain(value) : value, nowMs);
        assert.ok(typeof item !== 'string', JSON.stringify(item));
        assert.deepEqual(plain(item.attributes ?? {}), plain(given));
        assert.equal(item.expiresAtMs, nowMs + 60_000);
      }),
    );
  });

  it('go through MQTT 5 with no more loss than both declare', () => {
    fc.assert(
      fc.property(attributes, (given) => {
        const { subject: _s, groupId: _g, groupSequence: _q, deliverAtMs: _d, ...kept } = given;
        const overMqtt = toNeutral(toMqtt(kept, 4)).attributes;
        const raw = rawOf(headersOf(messageWith(overMqtt ?? {}, 4)));
        const told = readHeaders(raw, nowMs);
        assert.ok(typeof told !== 'string', JSON.stringify(told));
        assert.deepEqual(plain(told.attributes?.replyTo), plain(kept.replyTo?.name.match(/[+#]/) ? overMqtt?.replyTo : kept.replyTo));
        assert.equal(told.attributes?.contentEncoding, kept.contentEncoding);
        assert.equal(told.attributes?.payloadFormat, kept.payloadFormat);
      }),
    );
  });

  it('go through AMQP 1.0, with all that there is a header for', () => {
    const facts = { retained: false, guarantee: 1, redelivered: false, deliveryCount: 0, showsTopic: false, showsSender: false } as const;
    fc.assert(
      fc.property(attributes, fc.nat(9), (given, priority) => {
        const outgoing = new OutgoingMessage();
        outgoing.set(messageWith(given, priority), facts, nowMs);
        const bytes = outgoing.copy();
        const incoming = new IncomingMessage();
        assert.equal(incoming.read(bytes, 0, bytes.length, 0, nowMs, 'topic'), undefined);
        const payload = bytes.subarray(incoming.payloadStart, incoming.payloadEnd);
        assert.equal(Buffer.from(payload).toString(), 'payload');
        const there = incoming.attributes ?? {};
        const told = readHeaders(rawOf(headersOf(messageWith(there, incoming.priority))), nowMs);
        assert.ok(typeof told !== 'string', JSON.stringify(told));
        const { priority: back, attributes: fields = {} } = told;
        assert.equal(back, priority);
        // What is due already is not said.
        assert.equal(fields.deliverAtMs, given.deliverAtMs === nowMs ? undefined : given.deliverAtMs);
        for (const key of ['correlation', 'messageId', 'subject', 'groupId', 'contentEncoding'] as const) {
          assert.deepEqual(plain(fields[key]), plain(given[key]), key);
        }
        assert.deepEqual(plain(sorted(fields.properties)), plain(sorted(given.properties)));
      }),
    );
  });

  it('are written even where they are moments for which there is no date: AMQP knows such, and one message must not end the node', () => {
    const beyond: Attributes = {
      deliverAtMs: 9e15,
      death: { reason: 'expired', from: '$queue/q', diedAtMs: 9e18 },
      properties: [
        { key: 'late', value: { type: 'timestamp', value: 9_223_372_036_854_775_807n } },
        { key: 'early', value: { type: 'timestamp', value: -9_223_372_036_854_775_808n } },
      ],
    };
    const bytes = new TextEncoder().encode('a');
    for (const ms of [9e15, Number.MAX_VALUE]) {
      const message = new Message('a', bytes, bytes, 0, 1, 1, false, 4, ms, ms, '', beyond);
      const raw = rawOf(headersOf(message));
      assert.equal(raw.includes('Invalid Date'), false);
      assert.equal(raw[raw.indexOf('property-late') + 1], '9223372036854775807');
      for (const form of ['json', 'cbor'] as const) assert.match(String(valueOfMessage(message, form)['expires']), /^\+275760-09-13T/);
    }
  });

  it('fill no more headers than a client takes, and say how many are missing', () => {
    const many = Array.from({ length: 300 }, (_, i): Property => ({ key: `k${i}`, value: { type: 'string', value: 'v'.repeat(1000) } }));
    const raw = rawOf(headersOf(messageWith({ properties: many, subject: 'é'.repeat(100_000) }, 4)));
    assert.ok(raw.join('').length < 20_000);
    assert.equal(raw.filter((text) => text.startsWith('property-')).length + Number(raw[raw.indexOf('fields-omitted') + 1]), 301);
  });

  it('what cannot be read is refused by name', () => {
    const faults: [string, string][] = [
      ['Qos', '7'],
      ['Priority', '10'],
      ['Expires', 'soon'],
      ['Correlation-Id', '%zz'],
      ['Property-%zz', 'x'],
      ['Payload-Format', 'text'],
      ['Group-Sequence', '-1'],
      ['Idempotency-Key', ''],
    ];
    for (const [name, value] of faults) assert.equal(typeof readHeaders([name, value], nowMs), 'string', name);
    // What browsers send (RFC 9218) is theirs.
    assert.equal((readHeaders(['Priority', 'u=1, i'], nowMs) as { priority: number }).priority, 4);
  });
});
