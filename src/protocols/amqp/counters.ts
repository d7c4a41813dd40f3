// What the AMQP server counts: plain numbers, added to where things happen and turned into samples when somebody asks.

import type { Sample } from '../../base/metrics.ts';

/** Frames by what they hold: the descriptors 0x10 to 0x18 and 0x40 to 0x44, and empty ones. */
const frameNames: Readonly<Record<number, string>> = {
  0x00: 'empty',
  0x10: 'open',
  0x11: 'begin',
  0x12: 'attach',
  0x13: 'flow',
  0x14: 'transfer',
  0x15: 'disposition',
  0x16: 'detach',
  0x17: 'end',
  0x18: 'close',
  0x40: 'sasl-mechanisms',
  0x41: 'sasl-init',
  0x42: 'sasl-challenge',
  0x43: 'sasl-response',
  0x44: 'sasl-outcome',
};

/** Why a delivery was not written. */
export type DropCause = 'output full' | 'message too large' | 'connection closing';

export class Counters {
  /** By the code of the performative. */
  readonly received = new Float64Array(256);
  readonly sent = new Float64Array(256);
  receivedBytes = 0;
  /** Open now, handshakes included. */
  connections = 0;
  sessions = 0;
  links = { in: 0, out: 0 };
  opened = 0;
  /** Wires that were gone before the open was answered, or whose handshake did not come in time. */
  abandoned = 0;
  /** SASL outcomes by name. */
  readonly saslOutcomes = new Map<string, number>();
  /** Connections that the server ended, by condition. */
  readonly closed = new Map<string, number>();
  /** Connections that the peer ended with a close. */
  peerCloses = 0;
  /** Connections whose wire went without a close. */
  lost = 0;
  /** Sessions that the server ended, by condition. */
  readonly sessionsEnded = new Map<string, number>();
  /** Attaches that were refused, and links that the server detached, by condition. */
  readonly attachesRefused = new Map<string, number>();
  readonly linksDetached = new Map<string, number>();
  /** Deliveries that were answered with rejected, by condition. */
  readonly rejected = new Map<string, number>();
  /** Unsettled deliveries that were given back because the broker could not take them now. */
  released = 0;
  /** Settled deliveries that were refused, which nobody is told. */
  publishesDropped = 0;
  /** Deliveries that the peer took back before they were whole. */
  aborted = 0;
  /** Deliveries that the peer resumed and that were taken before. */
  resumed = 0;
  readonly dropped: Record<DropCause, number> = { 'output full': 0, 'message too large': 0, 'connection closing': 0 };
  /** Dispositions for what was not outstanding. */
  strayDispositions = 0;
  /** Tokens that peers put, by what came of them. */
  readonly tokens = new Map<string, number>();
  transactionsDeclared = 0;
  transactionsCommitted = 0;
  /** By the peer, or because they could not be committed. */
  transactionsRolledBack = 0;
  /** Times that reading from a peer was suspended. */
  pauses = 0;

  *samples(): Iterable<Sample> {
    yield counter('received_bytes', 'Bytes received.', this.receivedBytes);
    yield* byFrame('frames_received', 'Frames received.', this.received);
    yield* byFrame('frames_sent', 'Frames sent.', this.sent);
    yield gauge('connections', 'Open connections, handshakes included.', this.connections);
    yield gauge('sessions', 'Sessions of open connections.', this.sessions);
    for (const direction of ['in', 'out'] as const) {
      yield { ...gauge('links', 'Attached links.', this.links[direction]), labels: { direction } };
    }
    yield counter('connections_opened', 'Handshakes that succeeded.', this.opened);
    yield counter('connections_abandoned', 'Connections that ended before their handshake did.', this.abandoned);
    yield* byName('sasl_outcomes', 'SASL exchanges that were answered.', 'outcome', this.saslOutcomes);
    yield* byName('connections_closed', 'Connections that the server ended.', 'condition', this.closed);
    yield counter('peer_closes', 'Connections that the peer ended properly.', this.peerCloses);
    yield counter('connections_lost', 'Connections whose wire went without a close.', this.lost);
    yield* byName('sessions_ended', 'Sessions that the server ended.', 'condition', this.sessionsEnded);
    yield* byName('attaches_refused', 'Links that were refused.', 'condition', this.attachesRefused);
    yield* byName('links_detached', 'Links that the server detached.', 'condition', this.linksDetached);
    yield* byName('deliveries_rejected', 'Received deliveries that were answered with rejected.', 'condition', this.rejected);
    yield counter('deliveries_released', 'Received deliveries that were given back.', this.released);
    yield counter('publishes_dropped', 'Settled deliveries that were refused.', this.publishesDropped);
    yield* byName('tokens_put', 'Tokens by which connected peers proved anew who they are.', 'outcome', this.tokens);
    yield counter('transactions_declared', 'Transactions that peers declared.', this.transactionsDeclared);
    yield counter('transactions_committed', 'Transactions that were committed.', this.transactionsCommitted);
    yield counter('transactions_rolled_back', 'Transactions that came to nothing.', this.transactionsRolledBack);
    yield counter('deliveries_aborted', 'Deliveries that their sender aborted.', this.aborted);
    yield counter('deliveries_resumed', 'Deliveries that were resumed and had been taken before.', this.resumed);
    for (const [reason, value] of Object.entries(this.dropped)) {
      yield { ...counter('deliveries_dropped', 'Deliveries that were not written.', value), labels: { reason } };
    }
    yield counter('stray_dispositions', 'Dispositions for what was not outstanding.', this.strayDispositions);
    yield counter('pauses', 'Times that reading from a peer was suspended.', this.pauses);
  }
}

/** Adds one to what `counts` has for `name`. Names are ours (conditions, outcomes), never a peer's. */
export function countName(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

type Plain = Extract<Sample, { readonly value: number }>;

function counter(name: string, help: string, value: number): Plain {
  return { name: `heliograph_amqp_${name}_total`, help, type: 'counter', value };
}

function gauge(name: string, help: string, value: number): Plain {
  return { name: `heliograph_amqp_${name}`, help, type: 'gauge', value };
}

function* byFrame(name: string, help: string, values: Float64Array): Iterable<Sample> {
  for (const [code, value] of values.entries()) {
    if (value > 0) yield { ...counter(name, help, value), labels: { frame: frameNames[code] ?? 'unknown' } };
  }
}

function* byName(name: string, help: string, label: string, values: ReadonlyMap<string, number>): Iterable<Sample> {
  for (const [key, value] of values) yield { ...counter(name, help, value), labels: { [label]: key } };
}
