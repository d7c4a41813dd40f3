import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { checkMqttOptions, type MqttOptions } from './options.ts';
import { defaultMqttOptions } from './testing/options.ts';

test('limits that fit each other are accepted', () => {
  checkMqttOptions(defaultMqttOptions);
});

test('a limit that does not fit is named', () => {
  const bad: Partial<MqttOptions>[] = [
    { receiveMaximum: 0 },
    { receiveMaximum: 65_536 },
    { topicAliasMaximum: -1 },
    { outboundTopicAliasMaximum: 65_536 },
    { maxKeepAliveSec: 65_536 },
    { maxSessionExpirySec: 0x1_0000_0000 },
    { maxPacketBytes: 268_435_461 },
    { maxConnectPacketBytes: defaultMqttOptions.maxPacketBytes + 1 },
    { outputHighWaterBytes: defaultMqttOptions.maxOutputBytes + 1 },
    { topicCacheEntries: 48 },
    { maxClientIdBytes: 22 },
    { maxTopicBytes: 0 },
  ];
  for (const change of bad) {
    const [name] = Object.keys(change);
    assert.throws(
      () => checkMqttOptions({ ...defaultMqttOptions, ...change }),
      (error) => error instanceof UserError && error.where === `mqtt.${name}`,
      name,
    );
  }
});
