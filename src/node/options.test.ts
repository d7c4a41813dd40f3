import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig, parseConfig } from '../config.ts';
import { checkAmqpOptions } from '../protocols/amqp/options.ts';
import { amqpOptions } from '../protocols/amqp/settings.ts';
import { checkMqttOptions } from '../protocols/mqtt/options.ts';
import { mqttOptions } from '../protocols/mqtt/settings.ts';
import { changeInPlace } from './change-in-place.ts';
import { acceptLimits, brokerLimits, securityPolicy, webSocketSettings } from './options.ts';

test('the defaults are options that each protocol accepts', () => {
  checkMqttOptions(mqttOptions(defaultConfig().mqtt, defaultConfig()));
  checkAmqpOptions(amqpOptions(defaultConfig().amqp, defaultConfig()));
});

test('"for ever" and "no bound" become Infinity', () => {
  const config = parseConfig('h.yaml', 'broker: {maxSessionExpirySec: 4294967295}\nnet: {connectionsPerSecond: 0}\n');
  assert.equal(brokerLimits(config).maxSessionExpiryMs, Infinity);
  assert.equal(mqttOptions(config.mqtt, config).maxSessionExpirySec, 0xffff_ffff);
  assert.equal(amqpOptions(config.amqp, config).maxLinkExpiryMs, Infinity);
  assert.equal(acceptLimits(config).connectionsPerSecond, Infinity);
  assert.equal(acceptLimits(config).maxConnectionsPerAddress, Infinity);
  assert.equal(brokerLimits(defaultConfig()).maxSessionExpiryMs, 7 * 86_400_000);
});

test('anonymous peers are let in only where the configuration or --dev says so', () => {
  assert.equal(securityPolicy(defaultConfig(), false).anonymous, undefined);
  assert.deepEqual(securityPolicy(defaultConfig(), true).anonymous?.roles, ['admin']);
  const some = parseConfig('h.yaml', 'security: {anonymous: {enabled: true, roles: [guest], listeners: [ws]}}');
  assert.deepEqual(securityPolicy(some, false).anonymous, { tenant: 'main', roles: ['guest'], listeners: ['ws'] });
});

test('foreign web pages are kept out where nobody needs credentials', () => {
  const ws = defaultConfig().listeners['ws']!;
  const anonymous = parseConfig('h.yaml', 'security: {anonymous: {enabled: true}}');
  assert.equal(webSocketSettings(defaultConfig(), ws, false).origins, undefined);
  assert.ok(webSocketSettings(defaultConfig(), ws, true).origins?.includes('http://localhost:*'));
  assert.ok(webSocketSettings(anonymous, ws, false).origins?.includes('http://localhost:*'));
  assert.deepEqual(webSocketSettings(anonymous, { ...ws, origins: ['https://a.example'] }, true).origins, ['https://a.example']);
});

test('limits change within the objects that others hold', () => {
  const limits = brokerLimits(defaultConfig());
  const inbox = limits.durableInbox;
  changeInPlace(limits, brokerLimits(parseConfig('h.yaml', 'broker: {durableInbox: {maxMessages: 5}, maxSessions: 6}')));
  assert.equal(inbox.maxMessages, 5);
  assert.equal(limits.durableInbox, inbox);
  assert.equal(limits.maxSessions, 6);
});
