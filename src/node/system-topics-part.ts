import { defaultTenant } from '../message/names.ts';
import type { ListenersPart } from './listeners-part.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';
import { packageVersion } from './version.ts';

/**
 * `$SYS/broker/…`: what dashboards of other brokers look at, under the names that they know. Whole-node figures are for the
 * default tenant alone: others need not know how busy their neighbours are.
 */
export function systemTopicsPart(rooms: Rooms, listeners: ListenersPart): Part {
  let interval: NodeJS.Timeout | undefined;
  let last = new Map<string, string>();
  const publish = (): void => {
    rooms.loop.enterTurn();
    const values = systemTopics(rooms, listeners);
    for (const [topic, value] of values) {
      if (last.get(topic) !== value) rooms.broker.system.publish(defaultTenant, `$SYS/broker/${topic}`, value);
    }
    last = values;
  };
  return {
    name: 'system topics',
    start() {
      const everyMs = rooms.config.admin.systemTopicsMs;
      if (everyMs === 0) return;
      publish();
      interval = setInterval(publish, everyMs).unref();
    },
    stop: () => clearInterval(interval),
  };
}

function systemTopics({ broker, clock, startedAtMs, expiry }: Rooms, listeners: ListenersPart): Map<string, string> {
  const values = new Map<string, string | number>([
    ['version', `heliograph ${packageVersion()}`],
    ['uptime', `${Math.round((clock.wallMs() - startedAtMs) / 1000)} seconds`],
    ['clients/total', broker.sessionCount],
    ['subscriptions/count', sumOf(broker.spaces.values(), ({ filterCount }) => filterCount)],
    ['retained messages/count', sumOf(broker.spaces.values(), ({ retained }) => retained.count)],
    ['clients/connected', sumOf(listeners.all, ({ counters }) => counters.active)],
    ['bytes/received', sumOf(listeners.all, ({ counters }) => counters.bytesIn)],
    ['bytes/sent', sumOf(listeners.all, ({ counters }) => counters.bytesOut)],
    ['store/messages/count', broker.total.queued],
    ['publish/messages/received', broker.counters.publishesAccepted],
    ['publish/messages/sent', broker.total.delivered],
    ['publish/messages/dropped', broker.total.dropped()],
    ...(expiry?.topics() ?? []),
  ]);
  return new Map([...values].map(([topic, value]) => [topic, String(value)]));
}

function sumOf<Item>(items: Iterable<Item>, of: (item: Item) => number): number {
  let sum = 0;
  for (const item of items) sum += of(item);
  return sum;
}
