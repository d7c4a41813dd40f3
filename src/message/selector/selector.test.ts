import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Attributes, MessageId, Property, TypedValue } from '../attributes.ts';
import { Message, type Guarantee } from '../message.ts';
import { parseSelector } from './selector.ts';

type Given = {
  readonly properties?: Readonly<Record<string, TypedValue>>;
  readonly attributes?: Attributes;
  readonly guarantee?: Guarantee;
  readonly priority?: number;
  readonly expiresAtMs?: number;
};

function message({ properties, attributes, guarantee = 1, priority = 4, expiresAtMs = 0 }: Given = {}): Message {
  const list: Property[] | undefined = properties && Object.entries(properties).map(([key, value]) => ({ key, value }));
  const payload = new Uint8Array(3);
  const all = list === undefined ? attributes : { ...attributes, properties: list };
  return new Message('a/b', Buffer.from('a/b'), payload, 0, 3, guarantee, false, priority, expiresAtMs, 1_700_000_000_000, 'pump', all);
}

function matches(text: string, given: Message = message()): boolean {
  const parsed = parseSelector(text);
  assert.ok(parsed.ok, `${text}: ${parsed.ok ? '' : parsed.fault.message}`);
  return parsed.selector.matches(given);
}

/** true, false or unknown: what is unknown is neither true nor, negated, true. */
function truth(text: string, given?: Message): boolean | undefined {
  const yes = matches(text, given);
  const no = matches(`NOT (${text})`, given);
  assert.ok(!(yes && no), text);
  return yes ? true : no ? false : undefined;
}

const int = (value: number): TypedValue => ({ type: 'int', value });
const long = (value: bigint): TypedValue => ({ type: 'long', value });
const double = (value: number): TypedValue => ({ type: 'double', value });
const string = (value: string): TypedValue => ({ type: 'string', value });
const boolean = (value: boolean): TypedValue => ({ type: 'boolean', value });

describe('conditions', () => {
  it('follow the truth tables of SQL (§3.8.1.2)', () => {
    const values = { TRUE: true, FALSE: false, 'missing = 1': undefined } as const;
    const and = (a?: boolean, b?: boolean): boolean | undefined => (a === false || b === false ? false : a && b);
    const or = (a?: boolean, b?: boolean): boolean | undefined => (a || b ? true : a === undefined || b === undefined ? undefined : false);
    for (const [a, first] of Object.entries(values)) {
      assert.equal(truth(`NOT ${a}`), first === undefined ? undefined : !first);
      for (const [b, second] of Object.entries(values)) {
        assert.equal(truth(`${a} AND ${b}`), and(first, second), `${a} AND ${b}`);
        assert.equal(truth(`${a} or ${b}`), or(first, second), `${a} OR ${b}`);
      }
    }
  });

  it('bind NOT closer than AND, and AND closer than OR', () => {
    assert.equal(truth('TRUE OR TRUE AND FALSE'), true);
    assert.equal(truth('(TRUE OR TRUE) AND FALSE'), false);
    assert.equal(truth('NOT FALSE AND FALSE'), false);
    assert.equal(truth('NOT 1 = 2'), true);
  });

  it('can be a property alone; what is not a truth is not true', () => {
    const given = message({ properties: { on: boolean(true), off: boolean(false), name: string('x') } });
    assert.equal(truth('on', given), true);
    assert.equal(truth('off', given), false);
    assert.equal(truth('name', given), false);
    assert.equal(truth('none', given), undefined);
    assert.equal(truth('on = TRUE AND off <> TRUE', given), true);
  });

  it('select everything when there is nothing', () => {
    for (const text of ['', ' \t\n']) assert.equal(matches(text), true);
  });
});

describe('comparisons', () => {
  const given = message({
    properties: {
      i: int(5),
      l: long(2n ** 53n + 1n),
      d: double(2.5),
      f: { type: 'float', value: Math.fround(0.1) },
      s: string('five'),
      t: boolean(true),
      sym: { type: 'symbol', value: 'five' },
      u: { type: 'ulong', value: 2n ** 64n - 1n },
      bytes: { type: 'binary', value: new Uint8Array(2) },
      nothing: { type: 'null', value: null },
      when: { type: 'timestamp', value: 1_000n },
      "it's": int(1),
      'x-y': int(7),
    },
  });

  it('of numbers are by exact value, whatever their types', () => {
    for (const text of [
      'i = 5',
      'i = 5.0',
      'i < 5.5',
      'i >= 5',
      'd > 2',
      'd <= 2.5',
      'when = 1000',
      '5 = i',
      'i <> 6',
      'u > 9223372036854775807',
    ]) {
      assert.equal(truth(text, given), true, text);
    }
    assert.equal(truth('l = 9007199254740993', given), true);
    assert.equal(truth('l > 9007199254740992.0', given), true);
    assert.equal(truth('l = 9007199254740992.0', given), false);
    assert.equal(truth('f = 0.1', given), false);
  });

  it('of different sorts are false, equal or not (§3.8.1.1)', () => {
    for (const text of [
      'i = s',
      'i <> s',
      "i = '5'",
      "i <> '5'",
      't = s',
      't <> 1',
      's < i',
      's < sym',
      't >= 1',
      'bytes = bytes',
      'bytes <> i',
    ]) {
      assert.equal(truth(text, given), false, text);
    }
    assert.equal(truth("s = 'five' AND sym = 'five' AND s = sym AND s <> 'Five'", given), true);
  });

  it('with what is not there are unknown', () => {
    for (const text of [
      'none = 1',
      'none <> 1',
      '1 < none',
      "none IN ('a')",
      "none NOT LIKE 'a%'",
      'none + 1 = 1',
      'none BETWEEN 1 AND 2',
      'nothing = 1',
    ]) {
      assert.equal(truth(text, given), undefined, text);
    }
    assert.equal(truth('none IS NULL AND nothing IS NULL AND i IS NOT NULL AND bytes is not null', given), true);
  });

  it('can be ranges and lists', () => {
    assert.equal(truth('i BETWEEN 5 AND 6 AND i between 4 and 5 AND i NOT BETWEEN 6 AND 7', given), true);
    assert.equal(truth('i BETWEEN 6 AND 4', given), false);
    assert.equal(truth("s IN ('four', 'five') AND s NOT IN ('six') AND sym IN ('five')", given), true);
    assert.equal(truth("i IN ('5')", given), false);
  });

  it('know names that no Java identifier can spell, in quotation marks', () => {
    assert.equal(truth(`"x-y" = 7 AND "it's" = 1`, given), true);
  });

  it('take the first of several properties of one name', () => {
    const two = message({
      attributes: {
        properties: [
          { key: 'a', value: int(1) },
          { key: 'a', value: int(2) },
        ],
      },
    });
    assert.equal(truth('a = 1', two), true);
  });
});

describe('arithmetic', () => {
  const given = message({ properties: { i: int(7), l: long(2n ** 62n), d: double(0.5), s: string('x') } });

  it('is that of Java for whole numbers, and approximate with approximate ones', () => {
    for (const text of [
      'i / 2 = 3',
      'i / 2.0 = 3.5',
      '-i / 2 = -3',
      '2 + 3 * 4 = 14',
      '(2 + 3) * 4 = 20',
      '10 - 4 - 3 = 3',
      '- - i = 7',
      '+i = 7',
      '3 - -1 = 4',
      '1-1=0',
      'l * 2 = -9223372036854775808',
      'l + l - 1 = 9223372036854775807',
      'd * i = 3.5',
      'i*d>3',
      'JMSPriority / 3 = 1',
      '1 / 0.0 > 1',
    ])
      assert.equal(truth(text, given), true, text);
  });

  it('of what is no number, and division of a whole number by zero, is unknown', () => {
    for (const text of ['s + 1 = 1', 'none * 2 = 2', 'i / 0 = 1', '-s = 1', '-none = 1']) assert.equal(truth(text, given), undefined, text);
  });
});

describe('literals', () => {
  it('are those of Java', () => {
    for (const [text, value] of [
      ['0x1F', '31'],
      ['0XffL', '255'],
      ['017', '15'],
      ['0', '0'],
      ['12l', '12'],
      ['7.', '7'],
      ['.5', '0.5'],
      ['1e3', '1000'],
      ['1.5E-1', '0.15'],
      ['6.2d', '6.2'],
      ['-57.9E2', '-5790'],
      ['-9223372036854775808', '-9223372036854775807 - 1'],
    ])
      assert.equal(truth(`${text} = ${value}`), true, text);
    assert.equal(truth("'it''s' = 'it''s' AND '' <> ''''"), true);
  });
});

describe('LIKE', () => {
  it('knows %, _ and an escape character', () => {
    const cases: [string, string, boolean][] = [
      ["'12%3'", '123', true],
      ["'12%3'", '12993', true],
      ["'12%3'", '1234', false],
      ["'l_se'", 'lose', true],
      ["'l_se'", 'loose', false],
      [String.raw`'\_%' ESCAPE '\'`, '_foo', true],
      [String.raw`'\_%' ESCAPE '\'`, 'bar', false],
      ["'%'", '', true],
      ["''", '', true],
      ["''", 'a', false],
      ["'_'", '😀', true],
      ["'__'", '😀', false],
      ["'a%_%b'", 'ab', false],
      ["'a%_%b'", 'a\nb', true],
      ["'%ab_b%'", 'aababb', true],
      ["'%_'", '', false],
      ["'a%a'", 'a', false],
      ["'%😀_'", 'x😀y', true],
      ["'x!%' ESCAPE '!'", 'x%', true],
      ["'.*'", 'abc', false],
      ["'%a%b%a%'", 'aabba', true],
    ];
    for (const [pattern, value, expected] of cases) {
      assert.equal(truth(`s LIKE ${pattern}`, message({ properties: { s: string(value) } })), expected, `${value} LIKE ${pattern}`);
      assert.equal(truth(`s NOT LIKE ${pattern}`, message({ properties: { s: string(value) } })), !expected);
    }
    assert.equal(truth("n LIKE '%'", message({ properties: { n: int(1) } })), false);
  });

  it('says what a naive matcher says', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '😀'), maxLength: 12 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '😀', '_', '%', '_', '%'), maxLength: 9 });
    fc.assert(
      fc.property(letters, pattern, (value, like) => {
        const naive = new RegExp(`^${like.replaceAll('%', '.*').replaceAll('_', '.')}$`, 'su').test(value);
        assert.equal(matches(`s LIKE '${like}'`, message({ properties: { s: string(value) } })), naive);
      }),
      { numRuns: 2_000 },
    );
  });

  it('finds pieces longer than a word of bits', () => {
    const piece = `${'ab'.repeat(40)}_${'c'.repeat(20)}`;
    const given = (middle: string): Message => message({ properties: { s: string(`xx${middle}yy`) } });
    assert.equal(matches(`s LIKE '%${piece}%'`, given(`ab${piece.replace('_', 'z')}`)), true);
    assert.equal(matches(`s LIKE '%${piece}%'`, given(`ab${piece.replace('_', '')}`)), false);
  });

  it('takes time in proportion to the text, also where backtracking would explode', () => {
    const s = string('a'.repeat(60_000));
    assert.equal(matches(`s LIKE '${'%a_'.repeat(40)}b'`, message({ properties: { s } })), false);
  });
});

describe('headers', () => {
  const id = (messageId: MessageId, text: string): void => {
    assert.equal(matches(`JMSMessageID = '${text}'`, message({ attributes: { messageId } })), true, text);
  };

  it('of JMS read the fields of the message', () => {
    const given = message({
      guarantee: 0,
      priority: 7,
      expiresAtMs: 1_800_000_000_000,
      attributes: { subject: 'alarm', groupId: 'g', groupSequence: 3, correlation: { type: 'string', value: 'c-1' } },
    });
    for (const text of [
      'JMSPriority = 7',
      "JMSType = 'alarm'",
      'JMSTimestamp = 1700000000000',
      'JMSExpiration > JMSTimestamp',
      "JMSDeliveryMode = 'NON_PERSISTENT'",
      "JMSCorrelationID = 'c-1'",
      "JMSXGroupID = 'g' AND JMSXGroupSeq = 3",
      'amqp.priority = 7',
      "amqp.to = 'a/b'",
      "heliograph.topic LIKE 'a/%'",
      "heliograph.sender = 'pump'",
      'heliograph.payload_bytes = 3',
      'NOT amqp.durable',
      "amqp.group_id='g'",
      'JMSMessageID IS NULL',
    ])
      assert.equal(truth(text, given), true, text);
    assert.equal(truth("JMSDeliveryMode = 'PERSISTENT' AND JMSExpiration = 0 AND amqp.absolute_expiry_time IS NULL"), true);
  });

  it('show ids as Qpid JMS does', () => {
    id({ type: 'string', value: 'ID:4711' }, 'ID:4711');
    id({ type: 'string', value: '4711' }, 'ID:AMQP_NO_PREFIX:4711');
    id({ type: 'string', value: 'ID:AMQP_ULONG:1' }, 'ID:AMQP_STRING:ID:AMQP_ULONG:1');
    id({ type: 'ulong', value: 18_446_744_073_709_551_615n }, 'ID:AMQP_ULONG:18446744073709551615');
    id({ type: 'uuid', value: '00000000-0000-0000-0000-000000000001' }, 'ID:AMQP_UUID:00000000-0000-0000-0000-000000000001');
    id({ type: 'binary', value: new Uint8Array([1, 0xab]) }, 'ID:AMQP_BINARY:01AB');
    const given = message({ attributes: { messageId: { type: 'ulong', value: 7n }, correlation: { type: 'uuid', value: 'u' } } });
    assert.equal(truth("amqp.message_id = 7 AND amqp.correlation_id = 'u' AND JMSCorrelationID = 'ID:AMQP_UUID:u'", given), true);
  });

  it('that a selector may not use, and unknown fields, are refused by name', () => {
    for (const name of ['JMSDestination', 'JMSXDeliveryCount', 'amqp.nonsense', 'heliograph.payload']) {
      const parsed = parseSelector(`a = 1 AND ${name} = 'x'`);
      assert.ok(!parsed.ok && parsed.fault.message.includes(name) && parsed.fault.at === 10, name);
    }
  });
});

describe('bad selectors', () => {
  it('are refused, with the place', () => {
    const cases: [string, number][] = [
      ['a =', 3],
      ['= 1', 0],
      ['a = 1 b', 6],
      ['a AND', 5],
      ["'open", 0],
      ['a = 5x', 4],
      ['a = 09', 4],
      ['a ! 1', 2],
      ['(a', 2],
      ['a)', 1],
      ['a IN ()', 6],
      ['a IN (1)', 6],
      ['a LIKE b', 7],
      ["a LIKE 'x' ESCAPE 'ab'", 18],
      [String.raw`a LIKE 'x\' ESCAPE '\'`, 7],
      ["name < 'b'", 10],
      ['5', 1],
      ["'a'", 3],
      ['a + 1', 5],
      ["'a' + 1 = 2", 6],
      ['NOT 5', 5],
      ['a BETWEEN 1 OR 2', 12],
      ['a IS 5', 5],
      ['a NOT = 5', 6],
      ['a = 9223372036854775808', 4],
      ['a = 1e999', 4],
      ['a = b = c', 6],
      ['a = 1 -- no comment', 12],
      ['a /* no */ = 1', 3],
      ['\0', 0],
      ['"" = 1', 0],
      ['a = 0x', 4],
      ['a = NULL', 4],
      ['1e5 AND a', 8],
    ];
    for (const [text, at] of cases) {
      const parsed = parseSelector(text);
      assert.ok(!parsed.ok, text);
      assert.equal(parsed.fault.at, at, `${text}: ${parsed.fault.message}`);
    }
  });

  it('are refused when too long, too deep or of too many terms', () => {
    const ok = (text: string, limits?: Parameters<typeof parseSelector>[1]): boolean => parseSelector(text, limits).ok;
    assert.equal(ok(`${'('.repeat(64)}a${')'.repeat(64)}`), true);
    for (const text of [
      `${'('.repeat(65)}a${')'.repeat(65)}`,
      `${'NOT '.repeat(65)}a`,
      `a = ${'- '.repeat(70)}b`,
      `a = '${'x'.repeat(16_384)}'`,
    ]) {
      assert.equal(ok(text), false);
    }
    assert.equal(ok(`a IN (${"'x',".repeat(1_000)}'x')`), false);
    assert.equal(ok('a = 1 OR a = 2', { maxTerms: 7 }), true);
    assert.equal(ok('a = 1 OR a = 2', { maxTerms: 6 }), false);
    assert.equal(matches(`a = 1${' OR a = 1'.repeat(240)}`), false);
  });

  it('never throw, whatever the text', () => {
    const word = fc.constantFrom(
      'a',
      'NOT',
      'AND',
      'OR',
      'IN',
      '(',
      ')',
      "'x'",
      '1',
      '=',
      '<',
      'IS',
      'NULL',
      'LIKE',
      'ESCAPE',
      '-',
      '.5',
      ',',
      'BETWEEN',
      '"',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join(' ')),
        ),
        (text) => {
          const parsed = parseSelector(text);
          if (parsed.ok) parsed.selector.matches(message());
          else assert.ok(parsed.fault.at >= 0 && parsed.fault.at <= text.length);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
