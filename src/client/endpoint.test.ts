import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointText, parseEndpoint } from './endpoint.ts';

test('URLs say where a broker is', () => {
  const texts: [string, string | undefined][] = [
    ['mqtt://a', 'mqtt://a:1883'],
    ['mqtts://a.example:99', 'mqtts://a.example:99'],
    ['tcp://[::1]', 'mqtt://[::1]:1883'],
    ['ssl://10.0.0.1', 'mqtts://10.0.0.1:8883'],
    ['ws://a', 'ws://a:80/mqtt'],
    ['wss://a/deep?x=1', 'wss://a:443/deep?x=1'],
    ['http://a', undefined],
    ['a:1883', undefined],
    ['mqtt://', undefined],
    ['mqtt://a:99999', undefined],
    ['mqtt://%zz@a', undefined],
  ];
  for (const [text, expected] of texts) {
    const parsed = parseEndpoint(text);
    assert.equal(parsed === undefined ? undefined : endpointText(parsed.endpoint), expected, text);
  }
});

test('a URL may bring credentials, which are never shown', () => {
  const parsed = parseEndpoint('mqtt://ten%2Fann:p%40ss@a')!;
  assert.deepEqual([parsed.username, parsed.password], ['ten/ann', 'p@ss']);
  assert.equal(endpointText(parsed.endpoint), 'mqtt://a:1883');
});
