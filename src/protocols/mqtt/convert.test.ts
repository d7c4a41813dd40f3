import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Attributes, MessageId, Property, TypedValue } from '../../message/attributes.ts';
import { plain } from './codec/testing/plain.ts';
import { binary, mqttText } from './codec/testing/arbitrary-packets.ts';
import {
  lostFromMqtt,
  lostToMqtt3,
  lostToMqtt5,
  type MessageProperties,
  type NeutralFields,
  residueProtocol,
  toMqtt,
  toNeutral,
} from './convert.ts';

const reserved = ['content-encoding', 'message-id', 'priority'];
const key = fc.oneof(mqttText(), fc.constantFrom(...reserved));
const value = fc.oneof(mqttText(), fc.nat(11).map(String));

const messageProperties: fc.Arbitrary<MessageProperties> = fc.record(
  {
    payloadFormatIndicator: fc.constantFrom(0 as const, 1 as const),
    contentType: mqttText(),
    responseTopic: fc.oneof(
      mqttText().map((text) => text.replaceAll(/[+#]/g, '-')),
      fc.constantFrom('$queue/jobs', '$queue/', '$queue'),
    ),
    correlationData: binary(),
    userProperties: fc.array(fc.record({ key, value }), { minLength: 1, maxLength: 6 }),
  },
  { requiredKeys: [] },
);

describe('from MQTT to the neutral message and back', () => {
  it('is the identity', () => {
    assert.deepEqual(lostFromMqtt, []);
    fc.assert(
      fc.property(messageProperties, (properties) => {
        const { attributes, priority } = toNeutral(properties);
        assert.deepEqual(toMqtt(attributes, priority), plain(properties));
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps the properties as they came only if the fields would not give them back', () => {
    const residueOf = (...userProperties: [string, string][]) =>
      toNeutral({ userProperties: userProperties.map(([k, v]) => ({ key: k, value: v })) }).attributes!.residue;
    assert.equal(residueOf(['a', '1'], ['a', '1']), undefined);
    assert.equal(residueOf(['priority', '7'], ['content-encoding', 'gzip'], ['message-id', '9'], ['a', '1']), undefined);
    assert.equal(residueOf(['priority', 'urgent']), undefined);
    assert.equal(residueOf(['priority', '4'])?.protocol, residueProtocol);
    assert.equal(residueOf(['message-id', '9'], ['content-encoding', 'gzip'])?.protocol, residueProtocol);
    assert.equal(residueOf(['a', '1'], ['content-encoding', 'gzip'])?.protocol, residueProtocol);
  });

  it('gives other protocols the fields', () => {
    const { attributes, priority } = toNeutral({
      payloadFormatIndicator: 1,
      contentType: 'text/plain',
      responseTopic: '$queue/answers',
      correlationData: Uint8Array.of(1),
      userProperties: [
        { key: 'a', value: '1' },
        { key: 'priority', value: '9' },
        { key: 'content-encoding', value: 'gzip' },
        { key: 'content-encoding', value: 'br' },
        { key: 'message-id', value: 'm-1' },
        { key: 'priority', value: '2' },
      ],
    });
    assert.equal(priority, 9);
    const { residue, ...rest } = attributes!;
    assert.equal(residue?.protocol, residueProtocol);
    assert.deepEqual(rest, {
      payloadFormat: 'utf8',
      contentType: 'text/plain',
      replyTo: { kind: 'queue', name: 'answers' },
      correlation: { type: 'binary', value: Uint8Array.of(1) },
      contentEncoding: 'gzip',
      messageId: { type: 'string', value: 'm-1' },
      properties: [
        { key: 'a', value: { type: 'string', value: '1' } },
        { key: 'content-encoding', value: { type: 'string', value: 'br' } },
        { key: 'priority', value: { type: 'string', value: '2' } },
      ],
    });
  });

  it('makes no attributes of nothing', () => {
    assert.deepEqual(toNeutral(undefined), { attributes: undefined, priority: 4 });
    assert.deepEqual(toNeutral({}), { attributes: undefined, priority: 4 });
    assert.deepEqual(toMqtt(undefined, 4), {});
  });
});

// Texts with what MQTT cannot carry, too.
const anyText = fc.oneof(
  mqttText(),
  fc.string({ unit: fc.constantFrom('a', '\0', '\ud800', '\udc00', 'ü') }),
  fc.constant('x'.repeat(65_536)),
);
const int = (bits: number, signed: boolean) =>
  signed ? fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 }) : fc.integer({ min: 0, max: 2 ** bits - 1 });
const typedValue = fc.oneof(
  fc.record({ type: fc.constantFrom('string', 'symbol', 'uuid'), value: anyText }),
  fc.record({ type: fc.constant('boolean'), value: fc.boolean() }),
  fc.record({ type: fc.constant('int'), value: int(32, true) }),
  fc.record({ type: fc.constant('ubyte'), value: int(8, false) }),
  fc.record({ type: fc.constantFrom('long', 'timestamp'), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ type: fc.constant('double'), value: fc.double() }),
  fc.record({ type: fc.constant('binary'), value: binary() }),
  fc.constant({ type: 'null', value: null }),
) as fc.Arbitrary<TypedValue>;
const messageId = fc.oneof(
  fc.record({ type: fc.constantFrom('string', 'symbol', 'uuid'), value: anyText }),
  fc.record({ type: fc.constant('binary'), value: fc.oneof(binary(), fc.constant(new Uint8Array(65_536))) }),
  fc.record({ type: fc.constant('ulong'), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
) as fc.Arbitrary<MessageId>;
const neutral = fc.record({
  attributes: fc.record(
    {
      payloadFormat: fc.constantFrom('bytes' as const, 'utf8' as const),
      contentType: anyText,
      contentEncoding: anyText,
      properties: fc.array(fc.record({ key: fc.oneof(anyText, fc.constantFrom(...reserved)), value: typedValue }), {
        minLength: 1,
        maxLength: 4,
      }),
      correlation: messageId,
      messageId,
      replyTo: fc.record({
        kind: fc.constantFrom('topic' as const, 'queue' as const),
        name: fc.oneof(anyText, fc.constantFrom('a/+', '$queue/x')),
      }),
      subject: anyText,
      groupId: anyText,
      groupSequence: fc.nat(),
      deliverAtMs: fc.nat(),
      death: fc.record({ reason: anyText, from: anyText, diedAtMs: fc.nat() }),
      annotations: fc.array(fc.record({ key: anyText, value: typedValue }), { maxLength: 2 }),
      residue: fc.record({ protocol: fc.constant('amqp'), bytes: binary() }),
    },
    { requiredKeys: [] },
  ),
  priority: fc.nat(9),
});

describe('from the neutral message to MQTT 5 and back', () => {
  it('loses what is declared and nothing else', () => {
    fc.assert(
      fc.property(neutral, ({ attributes, priority }) => {
        const back = toNeutral(toMqtt(attributes, priority));
        const { residue: _, ...rest } = back.attributes ?? {};
        const expected = withoutDeclaredLosses(attributes, priority);
        assert.equal(back.priority, expected.priority);
        assert.deepEqual(rest, plain(expected.attributes));
      }),
      { numRuns: 2000 },
    );
  });

  it('declares each field once', () => {
    assert.equal(new Set(lostToMqtt5).size, lostToMqtt5.length);
    assert.equal(new Set(lostToMqtt3).size, lostToMqtt3.length);
  });
});

// What `lostToMqtt5` says, in code that shares nothing with convert.ts.

function carried(text: string): string | undefined {
  const clean = Buffer.from(text.replaceAll('\0', '\ufffd')).toString();
  return Buffer.byteLength(clean) > 65_535 ? undefined : clean;
}

function asText({ type, value: raw }: TypedValue): string | undefined {
  if (type === 'binary') return carried(Buffer.from(raw).toString('base64'));
  if (type === 'null') return '';
  if (type !== 'timestamp') return carried(`${raw}`);
  return raw >= -8_640_000_000_000_000n && raw <= 8_640_000_000_000_000n ? new Date(Number(raw)).toISOString() : `${raw}`;
}

function withoutDeclaredLosses(attributes: Attributes, priority: number): NeutralFields {
  const { payloadFormat, contentType, contentEncoding, correlation, messageId: id, replyTo, properties } = attributes;
  const binaryCorrelation =
    correlation === undefined
      ? undefined
      : correlation.type === 'binary'
        ? correlation.value
        : new Uint8Array(Buffer.from(String(correlation.value)));
  const idText = id === undefined ? undefined : asText(id);
  const fields = {
    payloadFormat,
    contentType: contentType === undefined ? undefined : carried(contentType),
    contentEncoding: contentEncoding === undefined ? undefined : carried(contentEncoding),
    correlation:
      binaryCorrelation === undefined || binaryCorrelation.length > 65_535 ? undefined : { type: 'binary', value: binaryCorrelation },
    messageId: idText === undefined ? undefined : { type: 'string', value: idText },
    replyTo: replyTo === undefined ? undefined : replyAddress(replyTo),
  };
  const moved = moveReserved(properties ?? [], fields, priority);
  return { attributes: { ...fields, ...moved.fields } as Attributes, priority: moved.priority };
}

function replyAddress({ kind, name }: NonNullable<Attributes['replyTo']>): Attributes['replyTo'] | undefined {
  if (name.includes('+') || name.includes('#')) return undefined;
  const topic = carried(kind === 'queue' ? `$queue/${name}` : name);
  if (topic === undefined) return undefined;
  return topic.startsWith('$queue/') ? { kind: 'queue', name: topic.slice(7) } : { kind: 'topic', name: topic };
}

function moveReserved(properties: readonly Property[], present: { contentEncoding?: unknown; messageId?: unknown }, priority: number) {
  const left: Property[] = [];
  const fields: Record<string, unknown> = {};
  let newPriority: number | undefined = priority === 4 ? undefined : priority;
  for (const property of properties) {
    const name = carried(property.key);
    const text = asText(property.value);
    if (name === undefined || text === undefined) continue;
    if (name === 'content-encoding' && (present.contentEncoding ?? fields['contentEncoding']) === undefined)
      fields['contentEncoding'] = text;
    else if (name === 'message-id' && (present.messageId ?? fields['messageId']) === undefined)
      fields['messageId'] = { type: 'string', value: text };
    else if (name === 'priority' && newPriority === undefined && text.length === 1 && '0123456789'.includes(text))
      newPriority = Number(text);
    else left.push({ key: name, value: { type: 'string', value: text } });
  }
  if (left.length > 0) fields['properties'] = left;
  return { fields, priority: newPriority ?? 4 };
}
