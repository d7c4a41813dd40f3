// What bounds the broker. Defaults and their reasons stand in config.ts.

/**
 * What happens to a message that does not fit into a queue: the publisher is refused (nothing is acknowledged that is not
 * kept), the oldest waiting message makes room, or the new one is dropped. The last two are counted as losses by policy.
 */
export type FullPolicy = 'reject-new' | 'drop-oldest' | 'drop-new';

export type QueueLimits = {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly onFull: FullPolicy;
};

export type TransactionLimits = {
  /** Not committed and not rolled back yet. */
  readonly maxOpenPerPrincipal: number;
  /** Messages and settlements in one. */
  readonly maxMessages: number;
  /** Of messages in one. What a row of the journal can hold bounds it. */
  readonly maxBytes: number;
  /** One that is open for longer is rolled back. */
  readonly timeoutMs: number;
};

export type BrokerLimits = {
  /** Inboxes of sessions that outlive their connection. */
  readonly durableInbox: QueueLimits;
  /** Inboxes of sessions that end with their connection. */
  readonly transientInbox: QueueLimits;
  /** Queues of shared subscriptions. */
  readonly sharedQueue: QueueLimits;
  /** Queues addressed by name. */
  readonly namedQueue: QueueLimits;
  readonly maxSessions: number;
  /** Or else one principal could use up all there may be, with client ids that it makes up. */
  readonly maxSessionsPerPrincipal: number;
  readonly maxSubscriptionsPerSession: number;
  readonly maxSharedQueues: number;
  readonly maxNamedQueues: number;
  readonly maxRetainedMessages: number;
  readonly maxRetainedBytes: number;
  readonly maxTopicLevels: number;
  readonly maxSessionExpiryMs: number;
  /** Longest will delay that is kept; a longer one is shortened. */
  readonly maxWillDelayMs: number;
  /** Payloads of queued and retained messages that are held in memory; beyond it they are read from the journal when needed. */
  readonly payloadMemoryBytes: number;
  /** Messages that wait for sessions which end with their connection, and so only in memory; beyond it new ones are dropped, counted. */
  readonly transientMemoryBytes: number;
  /** Bytes handed to the journal and not yet durable, above which publishers are held back. */
  readonly maxUncommittedBytes: number;
  /** A checkpoint is written when this much has been appended since the last, or twice the last checkpoint's size if that is more. */
  readonly checkpointBytes: number;
  /** How often waiting messages are searched for expired ones. */
  readonly expirySweepMs: number;
  readonly transactions: TransactionLimits;
};
