// The state of a node, gathered from its rooms when somebody asks.

import { dropReasons } from '../broker/queues/ledger.ts';
import type { Status } from '../admin/status.ts';
import type { Config } from '../config.ts';
import { packageVersion } from './version.ts';
import type { ListenersPart, OpenListener } from './listeners-part.ts';
import type { Rooms } from './rooms.ts';

/** Why the node does not serve; empty when it does. */
export function notReady(rooms: Rooms): string[] {
  const { broker } = rooms;
  const reasons = broker.state === 'serving' ? [] : [`the broker is ${broker.state}`];
  for (const { index, stall } of broker.shards)
    if (stall !== undefined) reasons.push(`shard ${index} waits for the disk: ${stall.message}`);
  if (rooms.audit.failure !== undefined) reasons.push(`the audit log cannot be written: ${rooms.audit.failure}`);
  return reasons;
}

export function gatherStatus(rooms: Rooms, listeners: ListenersPart, management: readonly OpenListener[]): Status {
  const { broker, config, clock } = rooms;
  const tenants = [...broker.spaces.values()].map((space) => {
    let connected = 0;
    let queued = 0;
    for (const session of space.sessions.values()) {
      if (session.connected) connected++;
      queued += session.inbox.ledger.queued;
    }
    for (const { queue } of [...space.shared.values(), ...space.named.values()]) queued += queue.ledger.queued;
    const { tenant, sessions, filterCount: subscriptions, retained } = space;
    return { tenant, sessions: sessions.size, connected, subscriptions, retained: retained.count, queued };
  });
  const sum = (of: 'sessions' | 'connected' | 'subscriptions' | 'retained') => tenants.reduce((total, tenant) => total + tenant[of], 0);
  const shown = messagingListeners(listeners, config);
  const { accepted, recovered, delivered, queued, expired } = broker.total;
  return {
    name: config.node.name,
    version: packageVersion(),
    state: broker.state,
    startedAtMs: rooms.startedAtMs,
    uptimeSeconds: Math.round((clock.wallMs() - rooms.startedAtMs) / 1000),
    notReady: notReady(rooms),
    durability: broker.shards[0]!.journal.durability,
    listeners: [...shown, ...management],
    connections: shown.reduce((total, { connections }) => total + connections, 0),
    sessions: { total: sum('sessions'), connected: sum('connected') },
    subscriptions: sum('subscriptions'),
    retained: sum('retained'),
    ledger: {
      accepted,
      recovered,
      delivered,
      queued,
      expired,
      dropped: Object.fromEntries(dropReasons.map((why) => [why, broker.total[why]])),
    },
    journal: broker.shards.map(({ index: shard, journal, stall }) => {
      const stats = { shard, ...journal.stats() };
      return stall === undefined ? stats : { ...stats, stalled: stall.message };
    }),
    tenants,
    ...expiryOf(rooms),
    certificates: rooms.keystore.material.servers.map(({ source: name, notAfterMs }) => ({ name, notAfterMs })),
  };
}

function expiryOf({ expiry }: Rooms): Pick<Status, 'expiry'> {
  if (expiry?.report.atMs === undefined) return {};
  const { atMs, peers, first, endings } = expiry.report;
  return { expiry: { atMs, peers, first, endings: endings.map(({ kind, name, endMs }) => ({ kind, name, endMs })) } };
}

function messagingListeners(listeners: ListenersPart, config: Config) {
  return listeners.all.map(({ name, address, counters }) => ({
    name,
    kind: config.listeners[name]!.kind,
    host: address?.host ?? '',
    port: address?.port ?? 0,
    connections: counters.active,
    accepted: counters.accepted,
    refused: Object.values(counters.refused).reduce((total, each) => total + each, 0),
    ...(counters.handshakes.length > 0 && { handshakes: counters.handshakes }),
  }));
}
