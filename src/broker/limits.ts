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

export type ReplyLimits = {
  /** Requests of one principal that it may still answer; beyond it the oldest is forgotten. */
  readonly maxPerPrincipal: number;
  /** Of all principals together. */
  readonly max: number;
  /** How long a request may be answered. 0: nobody may answer without a right of its own. */
  readonly lifetimeMs: number;
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

/** What a queue does besides buffering. */
export type QueueRules = {
  /** Higher priorities first; else all in the order in which they came. */
  readonly priorities: boolean;
  /** How often delivering a message may fail before it is dead; 0: as often as it does. */
  readonly maxDeliveries: number;
  /** Named queue of the same tenant for dead messages; empty: they are dropped. */
  readonly deadLetterQueue: string;
  /** What expires is dead, too. */
  readonly deadLetterExpired: boolean;
  /** One consumer gets everything; the others take over when it goes. */
  readonly singleActive: boolean;
  /** Lifetime of messages that come without one; 0: none. */
  readonly defaultExpiryMs: number;
  /** What it holds is journaled. */
  readonly durable: boolean;
};

/** Of inboxes. */
export const plainRules: QueueRules = {
  priorities: false,
  maxDeliveries: 0,
  deadLetterQueue: '',
  deadLetterExpired: false,
  singleActive: false,
  defaultExpiryMs: 0,
  durable: true,
};

/** What an operator has set for the queues whose names match; see config section `queues`. */
export type QueueSetting = Partial<QueueLimits> & Partial<QueueRules> & { readonly match: string };

export type BrokerLimits = {
  /** Inboxes of sessions that outlive their connection. */
  readonly durableInbox: QueueLimits;
  /** Inboxes of sessions that end with their connection. */
  readonly transientInbox: QueueLimits;
  /** Queues of shared subscriptions. */
  readonly sharedQueue: QueueLimits;
  /** Queues addressed by name. */
  readonly namedQueue: QueueLimits;
  /** Messages that are to be delivered later, of one tenant. */
  readonly delayedQueue: QueueLimits;
  /** Of named and shared queues, and of inboxes that ask for it; see QueueRules. */
  readonly maxDeliveries: number;
  readonly deadLetterQueue: string;
  /** The first that matches a named or shared queue is its. */
  readonly queues: readonly QueueSetting[];
  readonly maxTemporaryQueuesPerPrincipal: number;
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
  readonly replies: ReplyLimits;
};
