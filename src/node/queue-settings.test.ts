import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../config.ts';
import { brokerLimits } from './options.ts';

function problemsOf(text: string): string {
  try {
    parseConfig('h.yaml', text);
    return '';
  } catch (error) {
    const { message, fix, where } = error as Error & { readonly fix?: string; readonly where?: string };
    return message + (fix ?? '') + (where ?? '');
  }
}

test('settings of queues reach the broker in its units; what is not said is left to the defaults', () => {
  const { queues, maxDeliveries, deadLetterQueue } = brokerLimits(
    parseConfig(
      'h.yaml',
      `broker: {maxDeliveries: 3}
queues:
  - {match: orders/#, maxMessages: 5, maxBytes: 1MiB, onFull: drop-oldest, defaultExpirySec: 2min, deadLetterQueue: ''}
  - {match: $share/g/x, priorities: false, singleActive: true, deadLetterExpired: true, durable: false, maxDeliveries: 0}`,
    ),
  );
  assert.deepEqual(queues, [
    { match: 'orders/#', maxMessages: 5, maxBytes: 1_048_576, onFull: 'drop-oldest', defaultExpiryMs: 120_000, deadLetterQueue: '' },
    { match: '$share/g/x', priorities: false, singleActive: true, deadLetterExpired: true, durable: false, maxDeliveries: 0 },
  ]);
  assert.deepEqual([maxDeliveries, deadLetterQueue], [3, 'dead-letter']);
});

test('what cannot be meant is told with its place and the fix', () => {
  for (const [text, what] of [
    ['queues:\n  - {match: "a/#/b"}', /h\.yaml.*2|2:/],
    ['queues:\n  - {match: jobs}\n  - {match: jobs}', /entry 1 has the same names/],
    ['queues:\n  - {match: jobs, deadLetterQueue: "a/#"}', /cannot be the name of a queue/],
    ['queues:\n  - {match: jobs, deadLetterQueue: $temp/x}', /cannot be the name of a queue/],
    ['broker: {deadLetterQueue: "+"}', /cannot be the name of a queue/],
    ['queues:\n  - {maxMessages: 5}', /match/],
    ['queues:\n  - {match: jobs, maxMesages: 5}', /maxMessages/],
  ] as const) {
    assert.match(problemsOf(text), what, text);
  }
});
