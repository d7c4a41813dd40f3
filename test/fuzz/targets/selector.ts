// Selectors come from peers, and are evaluated for every message of others.

import assert from 'node:assert/strict';
import { Message } from '../../../src/message/message.ts';
import { parseSelector } from '../../../src/message/selector/selector.ts';
import type { Target } from '../target.ts';

const message = new Message('a/b', Buffer.from('a/b'), new Uint8Array(2), 0, 2, 1, false, 4, 0, 1_700_000_000_000, 'pump', {
  subject: 'alarm',
  messageId: { type: 'ulong', value: 7n },
  properties: [
    { key: 'a', value: { type: 'int', value: 5 } },
    { key: 'b', value: { type: 'string', value: 'abcabcab😀' } },
    { key: 'c', value: { type: 'boolean', value: true } },
    { key: 'd', value: { type: 'double', value: 0.5 } },
    { key: 'e', value: { type: 'long', value: 2n ** 60n } },
  ],
});

const texts = [
  "a = 5 AND b LIKE '%a_c%' ESCAPE '!'",
  'NOT (a + 2 * d >= 0x1F OR e IS NOT NULL)',
  "b NOT IN ('x', 'y''z') OR c",
  '-a NOT BETWEEN -9223372036854775808 AND 1.5E3',
  `"b" <> 'q' AND JMSMessageID = 'ID:AMQP_ULONG:7' AND heliograph.topic LIKE 'a/%'`,
];

export const target: Target = {
  name: 'selector',
  properties: [
    'a selector is taken or refused with a place within its text, and nothing is thrown',
    'one that is true is not true negated',
    'it says the same twice',
  ],
  covers: /\/src\/message\/selector\/[a-z]+\.ts$/,
  maxBytes: 2048,
  slowMs: 50,
  seeds: texts.map((text) => Buffer.from(text)),
  dictionary: [
    ' AND ',
    ' OR ',
    'NOT ',
    ' IS NULL',
    ' BETWEEN ',
    ' LIKE ',
    " ESCAPE '",
    ' IN (',
    'TRUE',
    '<>',
    '>=',
    'amqp.',
    'JMSType',
  ].map((word) => Buffer.from(word)),
  run(input) {
    const text = Buffer.from(input).toString();
    const parsed = parseSelector(text);
    if (!parsed.ok) {
      assert.ok(parsed.fault.at >= 0 && parsed.fault.at <= text.length && parsed.fault.message.length < 3_000);
      return [parsed.fault.message.replaceAll(/".*"|'.*'/gsu, '').slice(0, 18)];
    }
    const yes = parsed.selector.matches(message);
    assert.equal(parsed.selector.matches(message), yes);
    const negated = parseSelector(`NOT (${text})`, { maxLength: 20_000, maxTerms: 2_000, maxDepth: 70 });
    if (text.trim() !== '') assert.ok(negated.ok && !(yes && negated.selector.matches(message)));
    return [String(yes)];
  },
};
