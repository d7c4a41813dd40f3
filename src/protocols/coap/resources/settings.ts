// The settings of the resources: fields of the section `coap`.

import { bytes, count, seconds, text } from '../../../config/fields.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const day = 86_400;

export const resourceFields = {
  maxWaitingRequests: count(
    { default: 128, min: 1, max: 10_000 },
    'Most requests of one CoAP peer that wait until it is known who it is; more are answered 5.03.',
  ),
  maxWaitingPeerBytes: bytes(
    { default: 256 * KiB, min: KiB, max: 1024 * MiB },
    'Most memory for those requests of one peer. A single one may be larger.',
  ),
  maxWaitingBytes: bytes({ default: 64 * MiB, min: KiB, max: 65_536 * MiB }, 'Most memory for the waiting requests of all peers.'),
  sessionIdleSec: seconds(
    { default: 300, min: 1, max: 31_536_000 },
    'A peer that asks for nothing and observes nothing loses its session after that; its next request makes a new one.',
  ),
  retryAfterSec: seconds({ default: 5, min: 1, max: 3600 }, 'Told with 4.29 and 5.03 as Max-Age: when to try again.'),
  maxObservationsPerPeer: count({ default: 100, min: 0, max: 100_000 }, 'Most observations of one peer. 0: none.'),
  receiveMaximum: count(
    { default: 16, min: 1, max: 65_535 },
    'Most notifications to one peer that wait for their acknowledgement, and most messages of one queue that it has fetched and not settled.',
  ),
  maxWaitingNotifications: count(
    { default: 16, min: 0, max: 10_000 },
    'Most notifications of an observation that wait for the one under way, where they are delivered at most once.',
  ),
  confirmEverySec: seconds(
    { default: 3600, min: 1, max: day },
    'After so long one notification of a non-confirmable observation is confirmable, so that observers that are gone are found out.',
  ),
  maxAgeSec: seconds({ default: 60, min: 1, max: 31_536_000 }, 'Max-Age of values and notifications that do not expire earlier.'),
  maxTopicBytes: bytes({ default: 1024, min: 16, max: 65_535 }, 'Longest topic, filter or name in a path.'),
  topicCacheEntries: count(
    { default: 16, min: 1, max: 65_536 },
    "Most topics whose check and route a peer's session remembers. A power of two.",
  ),
  maxOnceKeys: count(
    { default: 1000, min: 1, max: 65_000 },
    'Most idempotency keys (`mid`) that are remembered of one principal; the oldest are forgotten first.',
  ),
  onceKeepSec: seconds({ default: 300, min: 1, max: 7 * day }, 'For how long an idempotency key is remembered, if there is room.'),
  maxQueueWaitSec: seconds({ default: 60, min: 0, max: 3600 }, 'Longest `wait` of a GET on a queue.'),
  maxWaitingReceivers: count({ default: 4, min: 1, max: 1000 }, 'Most GETs of one peer that wait for messages of queues.'),
  maxQueuesPerPeer: count(
    { default: 16, min: 1, max: 10_000 },
    'Most queues that one peer reads by GET at a time; one of which nothing is owed or waited for makes room for the next.',
  ),
  leaseSec: seconds(
    { default: 30, min: 1, max: day },
    "For how long a message that was fetched from a queue is the fetcher's, unless it asks for another time (`lease`).",
  ),
  maxLeaseSec: seconds({ default: 3600, min: 1, max: day }, 'Longest `lease` of a message that was fetched from a queue.'),
  maxRegistrations: count(
    { default: 10_000, min: 0, max: 10_000_000 },
    'Most registrations in the resource directory of one tenant. 0: there is no directory.',
  ),
  maxRegistrationBytes: bytes(
    { default: 8 * KiB, min: 64, max: 1024 * KiB },
    'Largest set of links of one registration, and largest configuration of a topic of the pub/sub draft.',
  ),
  maxLifetimeSec: seconds(
    { default: 366 * day, min: 60, max: 4_294_967_295 },
    'Longest lifetime of a registration; one that asks for more gets this.',
  ),
  commandTopic: text(
    { default: 'dev/{ep}/command', minLength: 0, maxLength: 1024 },
    'Messages below this topic are sent as requests to the registered device `{ep}`: the next level is the method, the rest the path. Empty: none.',
  ),
  commandKeepSec: seconds({ default: 7 * day, min: 60, max: 366 * day }, 'For how long commands wait for a device that is not registered.'),
  awakeSec: seconds({ default: 93, min: 1, max: day }, 'How long a device that says it sleeps (`b=UQ`) listens after it was heard.'),
  maxPubsubTopics: count(
    { default: 1000, min: 0, max: 1_000_000 },
    'Most topics of the CoAP pub/sub draft (`/ps`) in one tenant. 0: it is not offered.',
  ),
};
