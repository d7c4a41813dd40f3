// Every limit and switch of the AMQP server. The defaults stand in config.ts; nothing here has one, so that no limit is set in
// two places.

import { UserError } from '../../base/user-error.ts';

/** From the strongest proof to none. */
export const saslMechanisms = ['EXTERNAL', 'SCRAM-SHA-256', 'OAUTHBEARER', 'PLAIN', 'ANONYMOUS'] as const;
export type SaslMechanism = (typeof saslMechanisms)[number];

export type AmqpOptions = {
  /** Told to peers that want to know whom they talk to. */
  readonly containerId: string;
  /** From the opened wire to the answered open. Stops connections that are held open without credentials. */
  readonly connectTimeoutMs: number;
  /** Largest frame taken from a peer once it is authenticated, and largest one sent; 512 to 16,777,216. */
  readonly maxFrameBytes: number;
  /** Largest frame taken before that. Stops strangers from filling memory. At least 512. */
  readonly maxConnectFrameBytes: number;
  /** Most bytes kept of what a peer sends before the broker has answered its open. */
  readonly maxEarlyBytes: number;
  /** Highest number of a channel; 0 to 65,535. Each session of a connection takes one. */
  readonly channelMax: number;
  /** Highest handle of a session; 0 to 4,294,967,295. Each link of a session takes one. */
  readonly handleMax: number;
  /** Most links of one connection, over all its sessions. */
  readonly maxLinks: number;
  /** Longest silence of a peer; it is told half of it. 0: no bound. */
  readonly idleTimeoutMs: number;
  /** Shortest idle time-out that a peer may ask of us; one below is refused. */
  readonly minPeerIdleTimeoutMs: number;
  /** Transfer frames that a peer may send in one session before it hears from us; 1 to 2,147,483,647. */
  readonly incomingWindow: number;
  /** Deliveries that a sending peer is granted; 1 to 65,535. */
  readonly linkCredit: number;
  /** Largest message taken, told to peers at attach. */
  readonly maxMessageBytes: number;
  /** Most bytes kept of deliveries of one connection of which not all frames have come; a single message may take maxMessageBytes. */
  readonly maxIncompleteBytes: number;
  /** Most deliveries of one link that may be unsettled at a time, in either direction; 1 to 65,535. */
  readonly maxUnsettledPerLink: number;
  /** Longest life of a link without connection: what a terminus time-out is cut to. Infinity: for ever. */
  readonly maxLinkExpiryMs: number;
  /** The SASL mechanisms that may be offered, within what a listener accepts. */
  readonly saslMechanisms: readonly SaslMechanism[];
  /**
   * A peer that says by SASL ANONYMOUS that it is nobody may prove by a token on `$cbs` who it is, on listeners that accept tokens
   * and not anonymous. Until then it has no rights, and connectTimeoutMs. Absent: not.
   */
  readonly cbs?: boolean;
  /** What an address without scheme and capability names. */
  readonly plainAddress: 'topic' | 'queue';
  /** The hostname of sasl-init names the tenant of names without one that come by PLAIN. */
  readonly hostnameIsTenant: boolean;
  readonly maxContainerIdBytes: number;
  readonly maxLinkNameBytes: number;
  /** Above so many unsent bytes a connection is congested: deliveries wait in their queue. Equal to the wire's own mark. */
  readonly outputHighWaterBytes: number;
  /** Above so many unsent bytes at-most-once deliveries are dropped, counted, and nothing more is read from the peer. */
  readonly maxOutputBytes: number;
  /** Most addresses whose check and route a link with a null target remembers; a power of two. */
  readonly topicCacheEntries: number;
  readonly maxTopicBytes: number;
  readonly maxTopicLevels: number;
};

/**
 * Checks what no single setting shows: that the limits fit each other and the protocol.
 * @throws UserError naming the setting
 */
export function checkAmqpOptions(options: AmqpOptions): void {
  const rules: readonly (readonly [boolean, string, string])[] = [
    [within(options.maxFrameBytes, 512, 16_777_216), 'maxFrameBytes', 'must be 512 to 16,777,216'],
    [within(options.maxConnectFrameBytes, 512, options.maxFrameBytes), 'maxConnectFrameBytes', 'must be 512 to maxFrameBytes'],
    [within(options.channelMax, 0, 65_535), 'channelMax', 'must be 0 to 65,535'],
    [within(options.handleMax, 0, 0xffff_ffff), 'handleMax', 'must be 0 to 4,294,967,295'],
    [within(options.maxLinks, 1, 0xffff_ffff), 'maxLinks', 'must be at least 1'],
    [within(options.incomingWindow, 1, 0x7fff_ffff), 'incomingWindow', 'must be 1 to 2,147,483,647'],
    [within(options.linkCredit, 1, 65_535), 'linkCredit', 'must be 1 to 65,535'],
    [within(options.maxUnsettledPerLink, 1, 65_535), 'maxUnsettledPerLink', 'must be 1 to 65,535'],
    [options.linkCredit <= options.maxUnsettledPerLink, 'linkCredit', 'must not be above maxUnsettledPerLink'],
    [options.idleTimeoutMs === 0 || options.idleTimeoutMs >= 1000, 'idleTimeoutMs', 'must be 0 or at least 1000'],
    [options.outputHighWaterBytes <= options.maxOutputBytes, 'outputHighWaterBytes', 'must not be above maxOutputBytes'],
    [Number.isInteger(Math.log2(options.topicCacheEntries)), 'topicCacheEntries', 'must be a power of two'],
    [within(options.maxTopicBytes, 1, 65_535), 'maxTopicBytes', 'must be 1 to 65,535'],
  ];
  for (const [holds, name, fix] of rules) {
    if (!holds) throw new UserError(`amqp.${name} ${fix}`, { where: `amqp.${name}`, fix: `set amqp.${name} to a value that ${fix}` });
  }
}

function within(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
