// Every limit of the resources. The defaults stand in settings.ts.

export type ResourceOptions = {
  /** Most requests of one peer that wait until it is known who it is. */
  readonly maxWaitingRequests: number;
  /** Most bytes of those: of one peer, unless it is a single request, and of all. */
  readonly maxWaitingPeerBytes: number;
  readonly maxWaitingBytes: number;
  /** A peer that asks for nothing and observes nothing loses its session after that; its next request makes a new one. */
  readonly sessionIdleSec: number;
  /** Told with 4.29 and 5.03: when to try again. */
  readonly retryAfterSec: number;
  readonly maxObservationsPerPeer: number;
  /** Most notifications to one peer that wait for their acknowledgement, queues included. 1 to 65,535. */
  readonly receiveMaximum: number;
  /** Most notifications of an observation that wait for the one under way, where they are delivered at most once. */
  readonly maxWaitingNotifications: number;
  /** After so long one notification of a non-confirmable observation is confirmable: whoever is gone is found out (RFC 7641 §4.5). */
  readonly confirmEverySec: number;
  /** Max-Age of values and notifications that do not expire earlier. */
  readonly maxAgeSec: number;
  /** Longest topic, filter or name in a path. */
  readonly maxTopicBytes: number;
  /** Most topics whose check and route a peer's session remembers; a power of two. */
  readonly topicCacheEntries: number;
  /** Most idempotency keys (`mid`) that are remembered of one principal; the oldest are forgotten first. */
  readonly maxOnceKeys: number;
  /** For how long a key is remembered at least, if there is room. */
  readonly onceKeepSec: number;
  /** Longest `wait` of a GET on a queue. */
  readonly maxQueueWaitSec: number;
  /** Most GETs of one peer that wait for messages of queues. */
  readonly maxWaitingReceivers: number;
  /** Most queues that one peer reads by GET at a time. */
  readonly maxQueuesPerPeer: number;
  /** For how long a message that was fetched from a queue is the fetcher's, unless it asks for another time. */
  readonly leaseSec: number;
  readonly maxLeaseSec: number;
  /** Most registrations in the resource directory of one tenant; 0: there is no directory. */
  readonly maxRegistrations: number;
  /** Largest set of links of one registration. */
  readonly maxRegistrationBytes: number;
  readonly maxLifetimeSec: number;
  /** Topic of commands, `{ep}` being the name of the device; method and path follow as levels. Empty: there are none. */
  readonly commandTopic: string;
  /** For how long commands wait for a device whose registration is over. */
  readonly commandKeepSec: number;
  /** How long a device that says it sleeps (`b=UQ`) listens after it was heard. */
  readonly awakeSec: number;
  /** Most topics of the pub/sub draft in one tenant; 0: it is not offered. */
  readonly maxPubsubTopics: number;
};
