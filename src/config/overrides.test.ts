import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig, parseConfig } from '../config.ts';
import { withOverrides } from './overrides.ts';

test('an offset shifts every port but one that the system chooses', () => {
  const config = withOverrides(parseConfig('h.yaml', 'listeners: {ws: {port: 0}}'), { portOffset: 100 });
  assert.equal(config.listeners['mqtt']?.port, 1983);
  assert.equal(config.listeners['mqtts']?.port, 8983);
  assert.equal(config.listeners['ws']?.port, 0);
});

test('an offset that leaves the range of ports is refused by name', () => {
  assert.throws(() => withOverrides(defaultConfig(), { portOffset: 70_000 }), /listener amqp would be on port 75672/);
  assert.throws(() => withOverrides(defaultConfig(), { portOffset: -2000 }), /listener mqtt would be on port -117/);
});

test('--dev keeps everything on loopback', () => {
  const config = withOverrides(parseConfig('h.yaml', 'listeners: {ws: {host: 0.0.0.0, allowPlaintext: true}}'), { dev: true });
  for (const listener of Object.values(config.listeners)) assert.match(listener.host, /^(127\.0\.0\.1|::1)$/);
});

test('--data and --log-level replace what the file says; the configuration given stays', () => {
  const given = defaultConfig();
  const config = withOverrides(given, { data: '/x', logLevel: 'error' });
  assert.equal(config.node.dataDir, '/x');
  assert.equal(config.log.level, 'error');
  assert.deepEqual(given, defaultConfig());
});

test('ports near the end of the range go on at its beginning', () => {
  const config = withOverrides(parseConfig('h.yaml', 'listeners: {high: {kind: tcp, port: 65000}}'), { portOffset: 1000 });
  assert.equal(config.listeners['high']?.port, 1488);
  assert.equal(config.listeners['mqtt']?.port, 2883);
});
