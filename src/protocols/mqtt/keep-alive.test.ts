import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agreeOnKeepAlive, KeepAlive } from './keep-alive.ts';
import { defaultMqttOptions } from './testing/options.ts';

const options = { ...defaultMqttOptions, maxKeepAliveSec: 100, defaultKeepAliveSec: 60, maxSilenceSec: 500 };

test('MQTT 5: within the bound the keep-alive of the client holds [MQTT-3.2.2-22]', () => {
  assert.deepEqual(agreeOnKeepAlive(5, 10, options), { serverKeepAliveSec: undefined, silenceMs: 15_000 });
  assert.deepEqual(agreeOnKeepAlive(5, 100, options), { serverKeepAliveSec: undefined, silenceMs: 150_000 });
});

test('MQTT 5: a longer one, or none, is replaced', () => {
  assert.deepEqual(agreeOnKeepAlive(5, 101, options), { serverKeepAliveSec: 100, silenceMs: 150_000 });
  assert.deepEqual(agreeOnKeepAlive(5, 0, options), { serverKeepAliveSec: 60, silenceMs: 90_000 });
  assert.deepEqual(agreeOnKeepAlive(5, 0, { ...options, defaultKeepAliveSec: 0 }), { serverKeepAliveSec: 100, silenceMs: 150_000 });
  assert.deepEqual(agreeOnKeepAlive(5, 0, { ...options, defaultKeepAliveSec: 0, maxKeepAliveSec: 0 }), {
    serverKeepAliveSec: undefined,
    silenceMs: Infinity,
  });
});

test('3.1.1: the client cannot be told another one; without one an option bounds its silence', () => {
  assert.deepEqual(agreeOnKeepAlive(4, 1000, options), { serverKeepAliveSec: undefined, silenceMs: 1_500_000 });
  assert.deepEqual(agreeOnKeepAlive(4, 0, options), { serverKeepAliveSec: undefined, silenceMs: 500_000 });
  assert.deepEqual(agreeOnKeepAlive(3, 0, { ...options, maxSilenceSec: 0 }), { serverKeepAliveSec: undefined, silenceMs: Infinity });
});

test('the deadline moves with what is heard', () => {
  const keepAlive = new KeepAlive(1500, 100);
  assert.equal(keepAlive.deadlineMs, 1600);
  keepAlive.heard(1000);
  assert.equal(keepAlive.deadlineMs, 2500);
});
