import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig, differences, parseConfig, withLiveChanges } from '../config.ts';

test('the same configuration twice has no differences', () => {
  assert.deepEqual(differences(defaultConfig(), parseConfig('h.yaml', '')), []);
});

test('a change says from, to and whether it can be made live', () => {
  const to = parseConfig(
    'h.yaml',
    'log: {level: debug}\nlisteners: {mqtt: {port: 1884}, more: {kind: tls, port: 1}}\ntls: {clientCaFile: ca.pem}\n',
  );
  const more = { kind: 'tls', enabled: true, devOnly: false, host: '127.0.0.1', port: 1, allowPlaintext: false, psk: false };
  assert.deepEqual(differences(defaultConfig(), to), [
    { path: 'listeners.mqtt.port', from: 1883, to: 1884, live: false },
    { path: 'listeners.more', from: undefined, to: more, live: false },
    { path: 'tls.clientCaFile', from: undefined, to: 'ca.pem', live: true },
    { path: 'log.level', from: 'info', to: 'debug', live: true },
  ]);
});

test('live changes are taken over, the others are not', () => {
  const from = parseConfig('h.yaml', 'tls: {clientCaFile: old.pem}\n');
  const to = parseConfig('h.yaml', 'log: {level: debug}\nlisteners: {mqtt: {port: 1884}}\n');
  const merged = withLiveChanges(from, to);
  assert.equal(merged.log.level, 'debug');
  assert.equal(merged.listeners['mqtt']?.port, 1883);
  assert.equal(merged.tls.clientCaFile, undefined);
  assert.equal(from.log.level, 'info');
  assert.deepEqual(
    differences(merged, to).map((change) => change.path),
    ['listeners.mqtt.port'],
  );
});

test('a list changes as a whole', () => {
  const to = parseConfig('h.yaml', 'tls: {certificates: [{certificateFile: a, privateKeyFile: b}]}');
  assert.deepEqual(
    differences(defaultConfig(), to).map(({ path, live }) => ({ path, live })),
    [{ path: 'tls.certificates', live: true }],
  );
});
