// What the MQTT server counts: plain numbers, added to where things happen and turned into samples when somebody asks.

import type { Sample } from '../../base/metrics.ts';
import { packetName, reasonText } from './codec/index.ts';

/** Why a delivery was not written. */
export type DropCause = 'output full' | 'packet too large' | 'connection closing';

export class Counters {
  /** By packet type. */
  readonly received = new Float64Array(16);
  readonly sent = new Float64Array(16);
  receivedBytes = 0;
  /** Open now, handshakes included. */
  connections = 0;
  connectsAccepted = 0;
  /** Wires that were gone before the handshake was over, or whose CONNECT did not come in time. */
  connectsAbandoned = 0;
  /** The rest by reason code. */
  readonly connectsRefused = new Float64Array(256);
  /** Connections that the server ended. */
  readonly closed = new Float64Array(256);
  /** Connections that the client ended with a DISCONNECT. */
  readonly disconnects = new Float64Array(256);
  /** Connections whose wire went without a DISCONNECT. */
  lost = 0;
  readonly publishesRefused = new Float64Array(256);
  /** QoS 0 publishes that were refused, which nobody is told. */
  publishesDropped = 0;
  readonly subscriptionsRefused = new Float64Array(256);
  readonly dropped: Record<DropCause, number> = { 'output full': 0, 'packet too large': 0, 'connection closing': 0 };
  /** Acknowledgements for what was not outstanding. */
  strayAcks = 0;
  reauthentications = 0;
  /** Times that reading from a client was suspended. */
  pauses = 0;

  *samples(): Iterable<Sample> {
    yield counter('received_bytes', 'Bytes received.', this.receivedBytes);
    yield* byIndex('packets_received', 'Control packets received.', 'type', this.received, packetName);
    yield* byIndex('packets_sent', 'Control packets sent.', 'type', this.sent, packetName);
    yield {
      name: 'heliograph_mqtt_connections',
      help: 'Open connections, handshakes included.',
      type: 'gauge',
      value: this.connections,
    };
    yield counter('connects_accepted', 'Handshakes that succeeded.', this.connectsAccepted);
    yield counter('connects_abandoned', 'Connections that ended before their handshake did.', this.connectsAbandoned);
    yield* byIndex('connects_refused', 'Handshakes that were refused.', 'reason', this.connectsRefused, reasonText);
    yield* byIndex('connections_closed', 'Connections that the server ended.', 'reason', this.closed, reasonText);
    yield* byIndex('client_disconnects', 'Connections that the client ended properly.', 'reason', this.disconnects, reasonText);
    yield counter('connections_lost', 'Connections whose wire went without a DISCONNECT.', this.lost);
    yield* byIndex('publishes_refused', 'Publishes above QoS 0 that were refused.', 'reason', this.publishesRefused, reasonText);
    yield counter('publishes_dropped', 'QoS 0 publishes that were refused.', this.publishesDropped);
    yield* byIndex('subscriptions_refused', 'Filters that were refused.', 'reason', this.subscriptionsRefused, reasonText);
    for (const [reason, value] of Object.entries(this.dropped)) {
      yield counter('deliveries_dropped', 'Deliveries that were not written.', value, { reason });
    }
    yield counter('stray_acknowledgements', 'Acknowledgements for what was not outstanding.', this.strayAcks);
    yield counter('reauthentications', 'Authentication exchanges on open connections that succeeded.', this.reauthentications);
    yield counter('pauses', 'Times that reading from a client was suspended.', this.pauses);
  }
}

function counter(name: string, help: string, value: number, labels?: Record<string, string>): Sample {
  const sample = { name: `heliograph_mqtt_${name}_total`, help, type: 'counter', value } as const;
  return labels === undefined ? sample : { ...sample, labels };
}

function* byIndex(name: string, help: string, label: string, values: Float64Array, nameOf: (index: number) => string): Iterable<Sample> {
  for (const [index, value] of values.entries()) {
    if (value > 0) yield counter(name, help, value, { [label]: nameOf(index) });
  }
}
