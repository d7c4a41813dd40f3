// Every limit and switch of the MQTT server. The defaults stand in config.ts; nothing here has one, so that no limit is
// set in two places.

import { UserError } from '../../base/user-error.ts';

export type MqttOptions = {
  /** From the opened wire to the finished handshake. Stops connections that are held open without credentials. */
  readonly connectTimeoutMs: number;
  /** Largest packet taken from a client once it is authenticated. */
  readonly maxPacketBytes: number;
  /** Largest packet taken before that. Stops strangers from filling memory. */
  readonly maxConnectPacketBytes: number;
  /** Most bytes kept of what a client sends before its handshake is answered. */
  readonly maxEarlyBytes: number;
  /** Most publishes above QoS 0 from one client that are unacknowledged at a time; 1 to 65,535. */
  readonly receiveMaximum: number;
  /** Most topic aliases a client may set; 0: none. Each may hold a topic in memory. */
  readonly topicAliasMaximum: number;
  /** Most topic aliases used towards a client, within what it allows; 0: none. */
  readonly outboundTopicAliasMaximum: number;
  /** Longest keep-alive; a client that asks for more (or, in MQTT 5, for none) is told this one. 0: no bound. */
  readonly maxKeepAliveSec: number;
  /** Told to an MQTT 5 client that asks for no keep-alive; 0: such a client has none. */
  readonly defaultKeepAliveSec: number;
  /** Longest silence of a 3.1 or 3.1.1 client without keep-alive, which cannot be told one; 0: no bound. */
  readonly maxSilenceSec: number;
  /** Longest life of a session without connection; 0xFFFFFFFF: for ever. */
  readonly maxSessionExpirySec: number;
  readonly maxQos: 0 | 1 | 2;
  readonly retainAvailable: boolean;
  readonly wildcardSubscriptionsAvailable: boolean;
  readonly sharedSubscriptionsAvailable: boolean;
  readonly subscriptionIdentifiersAvailable: boolean;
  /** Most filters in one SUBSCRIBE or UNSUBSCRIBE. */
  readonly maxSubscriptionsPerRequest: number;
  /** Above so many unsent bytes a connection is congested: at-least-once deliveries wait in their queue. Equal to the wire's own mark. */
  readonly outputHighWaterBytes: number;
  /** Above so many unsent bytes QoS 0 messages are dropped, counted, and nothing more is read from the client. */
  readonly maxOutputBytes: number;
  /** Refuse payloads that are not the UTF-8 their sender says they are. */
  readonly payloadFormatCheck: boolean;
  /** A client may leave its identifier empty and is given one. */
  readonly assignClientId: boolean;
  readonly maxClientIdBytes: number;
  /** Most topics whose check and route a connection remembers; a power of two. */
  readonly topicCacheEntries: number;
  readonly maxTopicBytes: number;
  readonly maxTopicLevels: number;
  /** Response Information is this prefix, the client identifier and a slash; empty: not offered. */
  readonly responseTopicPrefix: string;
};

/**
 * Checks what no single setting shows: that the limits fit each other and the protocol.
 * @throws UserError naming the setting
 */
export function checkMqttOptions(options: MqttOptions): void {
  const rules: readonly (readonly [boolean, string, string])[] = [
    [within(options.receiveMaximum, 1, 65_535), 'receiveMaximum', 'must be 1 to 65,535'],
    [within(options.topicAliasMaximum, 0, 65_535), 'topicAliasMaximum', 'must be 0 to 65,535'],
    [within(options.outboundTopicAliasMaximum, 0, 65_535), 'outboundTopicAliasMaximum', 'must be 0 to 65,535'],
    [within(options.maxKeepAliveSec, 0, 65_535), 'maxKeepAliveSec', 'must be 0 to 65,535'],
    [within(options.defaultKeepAliveSec, 0, 65_535), 'defaultKeepAliveSec', 'must be 0 to 65,535'],
    [within(options.maxSessionExpirySec, 0, 0xffff_ffff), 'maxSessionExpirySec', 'must be 0 to 4,294,967,295'],
    [within(options.maxPacketBytes, 128, 268_435_460), 'maxPacketBytes', 'must be 128 to 268,435,460, the largest packet of MQTT'],
    [options.maxConnectPacketBytes <= options.maxPacketBytes, 'maxConnectPacketBytes', 'must not be above maxPacketBytes'],
    [options.outputHighWaterBytes <= options.maxOutputBytes, 'outputHighWaterBytes', 'must not be above maxOutputBytes'],
    [Number.isInteger(Math.log2(options.topicCacheEntries)), 'topicCacheEntries', 'must be a power of two'],
    [within(options.maxClientIdBytes, 23, 65_535), 'maxClientIdBytes', 'must be 23 to 65,535: [MQTT-3.1.3-5]'],
    [within(options.maxTopicBytes, 1, 65_535), 'maxTopicBytes', 'must be 1 to 65,535'],
  ];
  for (const [holds, name, fix] of rules) {
    if (!holds) throw new UserError(`mqtt.${name} ${fix}`, { where: `mqtt.${name}`, fix: `set mqtt.${name} to a value that ${fix}` });
  }
}

function within(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
