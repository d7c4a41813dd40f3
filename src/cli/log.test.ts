import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogInto, type LogLevel } from './log.ts';

function collect(format: 'json' | 'pretty', level: LogLevel = 'info') {
  const lines: string[] = [];
  const log = createLogInto({ node: 'n1', level, format }, { write: (line) => void lines.push(line) });
  return { log, lines };
}

test('a JSON line has time, level, node, event and the fields', () => {
  const { log, lines } = collect('json');
  log.info('listening', { port: 1883 });
  const { time, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(rest, { level: 'info', node: 'n1', port: 1883, event: 'listening' });
});

test('lines below the level are not written, and the level can change', () => {
  const { log, lines } = collect('json', 'warn');
  log.info('no');
  log.setLevel('debug');
  log.debug('yes');
  assert.equal(lines.length, 1);
});

test('secrets are hidden even if a caller forgets', () => {
  const { log, lines } = collect('json');
  log.info('user', { password: 'hunter2', token: 'abc' });
  assert.ok(!/hunter2|abc/.test(lines[0]!));
});

test('a pretty line is one line, whatever a peer chose as its name', () => {
  const { log, lines } = collect('pretty');
  log.warn('client refused', { client: 'a\nb\u001b[31m\u009b1m', reason: 'banned' });
  assert.match(lines[0]!, /^\d\d:\d\d:\d\d\.\d{3} WARN {2}client refused {2}client="a\\nb\\u001b\[31m\\u009b1m" reason=banned\n$/);
});
