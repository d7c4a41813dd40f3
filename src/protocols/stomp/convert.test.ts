import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { defaultPriority, Message } from '../../message/message.ts';
import type { Attributes } from '../../message/attributes.ts';
import { toMqtt, toNeutral as fromMqtt } from '../mqtt/convert.ts';
import { encodeFrame, type Frame, FrameReader, type Header, headText, StompFault, type Version } from './codec/index.ts';
import { lostFromStomp, lostToStomp, messageLines, originalMessageId, type SentFields, toNeutral } from './convert.ts';
import { destinationOf, parseDestination } from './destination.ts';

function messageOf(fields: SentFields, topic = 'a'): Message {
  const { guarantee, retain, priority, expiresAtMs, attributes } = fields;
  return new Message(topic, Buffer.from(topic), new Uint8Array(0), 0, 0, guarantee, retain, priority, expiresAtMs, 1000, 'p', attributes);
}

/** The headers of the MESSAGE that a subscriber gets. */
function headersOf(message: Message, version: Version = '1.2'): Header[] {
  const reader = new FrameReader({ maxHeadBytes: 1e6, maxHeaders: 1000, maxBodyBytes: 10 });
  reader.version = version;
  const found: Frame[] = [];
  const fault = reader.push(Buffer.from(`MESSAGE\n${messageLines(message, 'plain', version)}\n\0`), {
    frame: (frame) => found.push(frame) > 0,
  });
  assert.equal(fault, undefined);
  return [...found[0]!.headers];
}

function good(fields: SentFields | StompFault): SentFields {
  assert.ok(!(fields instanceof StompFault), JSON.stringify(fields));
  return fields;
}

const brokersOwn = new Set([
  'destination',
  'timestamp',
  'persistent',
  'subscription',
  'ack',
  'redelivered',
  'receipt',
  'transaction',
  'content-length',
]);

/** Headers with a field, each with a value that it can have. */
const known: Readonly<Record<string, fc.Arbitrary<string>>> = {
  'content-type': fc.constantFrom('text/plain', 'application/json;charset=utf-8'),
  'content-encoding': fc.constant('gzip'),
  'correlation-id': fc.string({ unit: 'grapheme', minLength: 1 }),
  'message-id': fc.string({ unit: 'grapheme', minLength: 1 }),
  'reply-to': fc.constantFrom('/queue/answers', 'a/b', '$queue/x'),
  subject: fc.string({ unit: 'grapheme' }),
  'group-id': fc.constant('g'),
  'group-sequence': fc.nat().map(String),
  'deliver-at': fc.nat().map(String),
  expires: fc.integer({ min: 1, max: 2 ** 40 }).map(String),
  priority: fc.integer({ min: 0, max: 9 }).map(String),
  retain: fc.constantFrom('true', 'false'),
};
const reserved = new Set([...brokersOwn, ...Object.keys(known), originalMessageId]);
const property = fc
  .tuple(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ unit: 'grapheme' }))
  .filter(([key]) => !reserved.has(key));

const sent: fc.Arbitrary<Header[]> = fc
  .record({ fields: fc.record(known, { requiredKeys: [] }), properties: fc.array(property, { maxLength: 5 }) })
  .map(({ fields, properties }) => [...Object.entries(fields as Record<string, string>), ...properties]);

/** What survives of a SEND in a MESSAGE, in one order. */
function surviving(headers: readonly Header[]): string[] {
  return headers
    .filter(([name]) => !brokersOwn.has(name) && name !== 'retain')
    .filter(([name, value]) => name !== 'priority' || value !== String(defaultPriority))
    .map(([name, value]) => {
      const shown = name === 'message-id' ? originalMessageId : name;
      return `${shown}=${name === 'reply-to' ? destinationOf(parseDestination(value).filter, 'plain') : value}`;
    })
    .toSorted();
}

describe('from STOMP to STOMP', () => {
  test('nothing is lost but what is declared', () => {
    fc.assert(
      fc.property(sent, (headers) => {
        const got = headersOf(messageOf(good(toNeutral(headers))));
        assert.deepEqual(surviving(got), surviving(headers));
        // Properties keep their order and their repetitions.
        const own = (all: readonly Header[]): Header[] => all.filter(([name]) => !reserved.has(name));
        assert.deepEqual(own(got), own(headers));
      }),
    );
  });

  test('repetitions of what means something count once, others come again', () => {
    const got = headersOf(
      messageOf(
        good(
          toNeutral([
            ['priority', '7'],
            ['priority', '1'],
            ['x', '1'],
            ['x', '2'],
          ]),
        ),
      ),
    );
    assert.deepEqual(
      got.filter(([name]) => name === 'priority' || name === 'x'),
      [
        ['priority', '7'],
        ['x', '1'],
        ['x', '2'],
      ],
    );
  });

  test('a client cannot say what only the broker says', () => {
    const forged: Header[] = [
      ['subscription', 'x'],
      ['ack', 'x'],
      ['timestamp', '1'],
      ['redelivered', 'true'],
      [originalMessageId, 'x'],
    ];
    const names = headersOf(messageOf(good(toNeutral(forged)))).map(([name]) => name);
    assert.deepEqual(names, ['destination', 'persistent', 'timestamp']);
  });
});

describe('through MQTT', () => {
  test('nothing is lost but what both declare', () => {
    // MQTT has no field for these, and no text that holds U+0000 (lostToMqtt5).
    const without = new Set(['subject', 'group-id', 'group-sequence', 'deliver-at']);
    const inMqtt = sent.map((headers) =>
      headers.filter(
        ([name, value]) =>
          !without.has(name) &&
          !['content-encoding', 'message-id', 'priority'].includes(name.toLowerCase() === name ? '' : name) &&
          !`${name}${value}`.includes('\0'),
      ),
    );
    fc.assert(
      fc.property(inMqtt, (headers) => {
        const neutral = good(toNeutral(headers));
        const there = toMqtt(neutral.attributes, neutral.priority);
        const back = fromMqtt(there);
        const got = headersOf(messageOf({ ...neutral, attributes: back.attributes, priority: back.priority }));
        assert.deepEqual(surviving(got), surviving(headers));
      }),
    );
  });

  test('user properties of a publisher are headers of a MESSAGE', () => {
    const { attributes, priority } = fromMqtt({
      contentType: 'text/plain',
      responseTopic: '$queue/back',
      correlationData: Buffer.from('c-1'),
      userProperties: [
        { key: 'unit', value: '°C' },
        { key: 'destination', value: 'elsewhere' },
      ],
    });
    const got = headersOf(messageOf({ attributes, priority, expiresAtMs: 0, guarantee: 0, retain: false }));
    assert.deepEqual(got, [
      ['destination', 'a'],
      ['timestamp', '1000'],
      ['content-type', 'text/plain'],
      ['correlation-id', 'c-1'],
      ['reply-to', '$queue/back'],
      ['unit', '°C'],
    ]);
  });
});

test('values that a header cannot have are refused', () => {
  for (const header of [
    ['priority', '10'],
    ['priority', 'high'],
    ['expires', '-1'],
    ['expires', '9999999999999999'],
    ['persistent', 'yes'],
    ['retain', ''],
    ['group-sequence', 'x'],
    ['deliver-at', '1.5'],
  ] as const) {
    assert.ok(toNeutral([header]) instanceof StompFault, header.join(':'));
  }
});

test('the guarantee is at least once, unless it need not persist', () => {
  assert.equal(good(toNeutral([])).guarantee, 1);
  assert.equal(good(toNeutral([['persistent', 'true']])).guarantee, 1);
  assert.equal(good(toNeutral([['persistent', 'false']])).guarantee, 0);
});

test('values of other protocols become text', () => {
  const attributes: Attributes = {
    correlation: { type: 'binary', value: Uint8Array.of(255) },
    messageId: { type: 'ulong', value: 7n },
    properties: [
      { key: 'n', value: { type: 'int', value: -1 } },
      { key: 'b', value: { type: 'binary', value: Uint8Array.of(1, 2) } },
      { key: 'none', value: { type: 'null', value: null } },
      { key: '', value: { type: 'string', value: 'no name' } },
      { key: 'bad\ud800', value: { type: 'string', value: 'x\ud800' } },
    ],
  };
  const got = headersOf(messageOf({ attributes, priority: 4, expiresAtMs: 0, guarantee: 1, retain: false }));
  assert.deepEqual(got.slice(3), [
    ['correlation-id', '/w=='],
    [originalMessageId, '7'],
    ['n', '-1'],
    ['b', 'AQI='],
    ['none', ''],
    ['bad\ufffd', 'x\ufffd'],
  ]);
});

test('peers of older versions get what they can read', () => {
  const fields = good(toNeutral([['a:b', 'c\nd\re']]));
  assert.match(messageLines(messageOf(fields), 'plain', '1.1'), /\na\\cb:c\\nd e\n/);
  assert.match(messageLines(messageOf(fields), 'plain', '1.0'), /\na b:c d e\n/);
});

test('a destination comes back as it is written', () => {
  for (const style of ['plain', 'paths'] as const) {
    for (const topic of ['a', 'a/b', '/a', '$queue/x', '/topic/x', '/queue/x', '/share/x', '$share/x']) {
      assert.equal(parseDestination(destinationOf(topic, style)).filter, topic, `${topic} as ${style}`);
    }
  }
});

test('what is lost is declared, and no frame can be broken by what is in it', () => {
  assert.ok(lostFromStomp.length > 0 && lostToStomp.length > 0);
  assert.equal(headText('X', [['a\n', 'b\0']], '1.2'), 'X\na\\n:b \n');
  assert.equal(encodeFrame('X', []).toString(), 'X\n\n\0');
});
