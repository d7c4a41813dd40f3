// What the STOMP server counts: plain numbers, turned into samples when somebody asks.

import type { Sample } from '../../base/metrics.ts';

export const clientCommands = [
  'CONNECT',
  'STOMP',
  'SEND',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'ACK',
  'NACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'DISCONNECT',
] as const;
export type ClientCommand = (typeof clientCommands)[number];

export const serverCommands = ['CONNECTED', 'MESSAGE', 'RECEIPT', 'ERROR'] as const;
export type ServerCommand = (typeof serverCommands)[number];

/** Why a delivery was not written. */
type DropCause = 'output full' | 'connection closing';

export class Counters {
  readonly received: Record<ClientCommand, number> = zeros(clientCommands);
  readonly sent: Record<ServerCommand, number> = zeros(serverCommands);
  receivedBytes = 0;
  /** Open now, handshakes included. */
  connections = 0;
  connectsAccepted = 0;
  connectsRefused = 0;
  /** Gone before the handshake was over, or without CONNECT in time. */
  connectsAbandoned = 0;
  /** Ended by the server after CONNECTED. */
  closed = 0;
  disconnects = 0;
  /** Whose wire went without DISCONNECT. */
  lost = 0;
  heartBeatsMissed = 0;
  subscriptions = 0;
  transactions = 0;
  readonly dropped: Record<DropCause, number> = { 'output full': 0, 'connection closing': 0 };
  /** Publishes that the broker did not take. */
  refused = 0;
  pauses = 0;
  /** Why connections were ended with an ERROR, by its message. */
  readonly faults = new Map<string, number>();

  fault(message: string): void {
    // Which header is no reason of its own.
    const reason = message.startsWith('header ') ? 'header missing' : message;
    this.faults.set(reason, (this.faults.get(reason) ?? 0) + 1);
  }

  *samples(): Iterable<Sample> {
    yield* byName('frames_received', 'Frames received.', 'command', this.received);
    yield* byName('frames_sent', 'Frames sent.', 'command', this.sent);
    yield counter('received_bytes', 'Bytes received.', this.receivedBytes);
    yield gauge('connections', 'Open connections, handshakes included.', this.connections);
    yield gauge('subscriptions', 'Subscriptions of open connections.', this.subscriptions);
    yield gauge('transactions', 'Open transactions.', this.transactions);
    yield counter('connects_accepted', 'Handshakes that succeeded.', this.connectsAccepted);
    yield counter('connects_refused', 'Handshakes that were refused.', this.connectsRefused);
    yield counter('connects_abandoned', 'Connections that ended before their handshake did.', this.connectsAbandoned);
    yield counter('connections_closed', 'Connections that the server ended.', this.closed);
    yield counter('client_disconnects', 'Connections that the client ended properly.', this.disconnects);
    yield counter('connections_lost', 'Connections that went without a DISCONNECT.', this.lost);
    yield counter('heart_beats_missed', 'Connections that ended because the client was silent for too long.', this.heartBeatsMissed);
    yield counter('publishes_refused', 'Messages that were not taken.', this.refused);
    yield* byName('messages_dropped', 'Deliveries that were not written.', 'cause', this.dropped);
    for (const [reason, value] of this.faults) {
      yield { ...counter('errors', 'Connections ended with an ERROR, by its message.', value), labels: { reason } };
    }
    yield counter('pauses', 'Times that reading from a client was suspended.', this.pauses);
  }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}

function counter(name: string, help: string, value: number): Sample {
  return { name: `heliograph_stomp_${name}_total`, help, type: 'counter', value };
}

function gauge(name: string, help: string, value: number): Sample {
  return { name: `heliograph_stomp_${name}`, help, type: 'gauge', value };
}

function* byName(name: string, help: string, label: string, values: Readonly<Record<string, number>>): Iterable<Sample> {
  for (const [key, value] of Object.entries(values)) {
    yield { name: `heliograph_stomp_${name}_total`, help, type: 'counter', labels: { [label]: key }, value };
  }
}
