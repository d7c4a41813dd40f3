// heliograph bench on a broker of its own and on one that runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCli } from './run-cli.ts';

for (const [qos, version] of [
  ['0', '5'],
  ['1', '3.1.1'],
  ['2', '5'],
]) {
  test(`every message of QoS ${qos} arrives`, async () => {
    const args = ['bench', '--temporary', '--pairs', '3', '--count', '50', '-q', qos!, '-V', version!, '--size', '100', '--json'];
    const { code, stdout, stderr } = await runCli(args);
    assert.equal(code, 0, stderr);
    const result = JSON.parse(stdout) as Record<string, number | boolean>;
    assert.equal(result['sent'], 150);
    assert.equal(result['received'], 150);
    assert.equal(result['payloadBytes'], 100);
    assert.ok((result['sentPerSecond'] as number) > 0);
    assert.ok((result['p50Ms'] as number) > 0 && (result['p50Ms'] as number) <= (result['longestMs'] as number));
  });
}

test('without a broker it says what to do', async () => {
  const { code, stderr } = await runCli(['bench', '--url', 'mqtt://127.0.0.1:1', '--count', '1']);
  assert.equal(code, 1);
  assert.match(stderr, /No broker listens there/);
});
