// The section `mqtt` of the configuration.

import { count, bytes, flag, milliseconds, seconds, section, type SettingsOf, text } from '../../config/fields.ts';
import type { SharedSettings } from '../protocol-kind.ts';
import type { MqttOptions } from './options.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const mqttSettings = section(
  {
    connectTimeoutMs: milliseconds(
      { default: 10_000, min: 100, max: 600_000 },
      'From the opened connection to the finished handshake. Stops connections that are held open without credentials.',
    ),
    maxPacketBytes: bytes({ default: MiB, min: 128, max: 268_435_460 }, 'Largest packet taken from a client.'),
    maxConnectPacketBytes: bytes(
      { default: 64 * KiB, min: 128, max: 268_435_460 },
      'Largest packet taken before the client is authenticated. Stops strangers from filling memory.',
    ),
    maxEarlyBytes: bytes(
      { default: 64 * KiB, min: 0, max: 16 * MiB },
      'Most bytes kept of what a client sends before its handshake is answered.',
    ),
    receiveMaximum: count(
      { default: 1000, min: 1, max: 65_535 },
      'Most publishes above QoS 0 from one client that are unacknowledged at a time.',
    ),
    topicAliasMaximum: count(
      { default: 32, min: 0, max: 65_535 },
      'Most topic aliases a client may set; each holds a topic in memory. 0: none.',
    ),
    outboundTopicAliasMaximum: count(
      { default: 32, min: 0, max: 65_535 },
      'Most topic aliases used towards a client, within what it allows. 0: none.',
    ),
    maxKeepAliveSec: seconds(
      { default: 3600, min: 0, max: 65_535 },
      'Longest keep-alive; an MQTT 5 client that asks for more is told this one. 0: no bound.',
    ),
    defaultKeepAliveSec: seconds(
      { default: 300, min: 0, max: 65_535 },
      'Told to an MQTT 5 client that asks for no keep-alive. 0: such a client has none.',
    ),
    maxSilenceSec: seconds(
      { default: 0, min: 0, max: 31_536_000 },
      'Longest silence of a 3.1 or 3.1.1 client without keep-alive, which cannot be told one. 0: no bound.',
    ),
    maxQos: count({ default: 2, min: 0, max: 2 }, 'Highest QoS that is offered.'),
    retainAvailable: flag({ default: true }, 'Whether clients may set retained messages.'),
    wildcardSubscriptionsAvailable: flag({ default: true }, 'Whether filters may hold + and #.'),
    sharedSubscriptionsAvailable: flag({ default: true }, 'Whether $share/group/filter and $queue/name are offered.'),
    subscriptionIdentifiersAvailable: flag({ default: true }, 'Whether subscription identifiers are offered.'),
    maxSubscriptionsPerRequest: count({ default: 1000, min: 1, max: 65_535 }, 'Most filters in one SUBSCRIBE or UNSUBSCRIBE.'),
    maxOutputBytes: bytes(
      { default: 4 * MiB, min: 64 * KiB, max: 1024 * MiB },
      'Above so many unsent bytes a client loses QoS 0 messages, counted, and nothing more is read from it.',
    ),
    payloadFormatCheck: flag({ default: true }, 'Refuses payloads that are not the UTF-8 which their sender says they are.'),
    assignClientId: flag({ default: true }, 'A client may leave its identifier empty and is given one.'),
    maxClientIdBytes: bytes({ default: 256, min: 23, max: 65_535 }, 'Longest client identifier.'),
    topicCacheEntries: count(
      { default: 64, min: 1, max: 65_536 },
      'Most topics whose check and route a connection remembers. A power of two.',
    ),
    maxTopicBytes: bytes({ default: 1024, min: 1, max: 65_535 }, 'Longest topic or filter.'),
    responseTopicPrefix: text(
      { default: '', minLength: 0, maxLength: 256, example: 'reply/' },
      'Response Information is this prefix, the client identifier and a slash. Empty: not offered.',
    ),
  },
  'MQTT 3.1, 3.1.1 and 5.0.',
);

export function mqttOptions(mqtt: SettingsOf<typeof mqttSettings>, { broker, net }: SharedSettings): MqttOptions {
  return {
    ...mqtt,
    maxQos: mqtt.maxQos as 0 | 1 | 2,
    maxSessionExpirySec: broker.maxSessionExpirySec,
    maxTopicLevels: broker.maxTopicLevels,
    outputHighWaterBytes: net.outputHighWaterBytes,
  };
}
