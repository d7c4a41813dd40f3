// Every limit of the STOMP server. The defaults stand in settings.ts; nothing here has one, so that no limit is set in two places.

import type { SettingsOf } from '../../config/fields.ts';
import type { stompSettings } from './settings.ts';

export type StompOptions = Readonly<SettingsOf<typeof stompSettings>> & {
  /** Longest life of a durable subscription without connection. Infinity: for ever. */
  readonly maxSubscriptionExpiryMs: number;
  readonly maxTopicLevels: number;
  /** Above so many unsent bytes deliveries wait in their queue. Equal to the wire's own mark. */
  readonly outputHighWaterBytes: number;
};
