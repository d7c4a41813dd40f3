// What a client is told, and what it assumes otherwise.

import type { Qos, UserProperty, Version, WillPacket } from '../protocols/mqtt/codec/index.ts';
import type { ClientError } from './client-error.ts';
import type { Endpoint } from './endpoint.ts';
import type { IncomingMessage } from './incoming-messages.ts';
import type { Schedule } from './link.ts';
import type { OpenWire, TlsSettings } from './wire.ts';

export type Reconnect = {
  /** The first wait; each further one is twice as long, up to `maxMs`. A random half of it is left out. */
  readonly minMs: number;
  readonly maxMs: number;
};

/** What the server said when it let the client in. */
export type Welcome = {
  /** The server has kept the session of an earlier connection. */
  readonly sessionPresent: boolean;
  readonly clientId: string;
};

export type ClientOptions = {
  readonly endpoint: Endpoint;
  readonly tls?: TlsSettings;
  /** 5: MQTT 5.0 (default), 4: 3.1.1, 3: 3.1. */
  readonly version?: Version;
  /** Empty (default): the server chooses one, or it stays empty with 3.1.1. */
  readonly clientId?: string;
  /** Forget an earlier session. With version 5 it holds for the first connection only. Default true. */
  readonly cleanStart?: boolean;
  /** Version 5: how long the server keeps the session without a connection. Default 0. */
  readonly sessionExpirySec?: number;
  /** Default 60; 0: none. */
  readonly keepAliveSec?: number;
  readonly username?: string;
  readonly password?: string | Uint8Array;
  readonly will?: WillPacket;
  /** Version 5: messages of the server above QoS 0 that may be unacknowledged. Default 1000. */
  readonly receiveMaximum?: number;
  /** Version 5: topic aliases that the server may set. Default 16. */
  readonly topicAliasMaximum?: number;
  /** Largest packet taken. Default: the largest that MQTT knows. */
  readonly maxPacketBytes?: number;
  /** Own messages above QoS 0 that may be unacknowledged, within what the server allows. Default 1000. */
  readonly maxInFlight?: number;
  /** Own messages that may wait to be sent. Default 100,000. */
  readonly maxWaiting?: number;
  readonly userProperties?: readonly UserProperty[];
  /** From the first byte to CONNACK. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** Absent: a lost connection ends the client. */
  readonly reconnect?: Reconnect;
  /** The first connection is tried again as well, until it is refused for good. Default false. */
  readonly retryFirst?: boolean;

  /** Acknowledged when it returns. What it throws ends the client. */
  readonly onMessage?: (message: IncomingMessage) => void;
  /** At each connection, before anything is sent on it. */
  readonly onConnect?: (welcome: Welcome) => void;
  /** A connection was lost or could not be made, and will be tried again in so many milliseconds. */
  readonly onRetry?: (error: ClientError, inMs: number) => void;
  /** The client has ended by itself: nothing will happen any more. */
  readonly onEnd?: (error: ClientError) => void;

  /** For tests: another network. */
  readonly openWire?: OpenWire;
  /** For tests: another time. */
  readonly schedule?: Schedule;
};

export const largestPacketBytes = 268_435_460;
export const defaultReconnect: Reconnect = { minMs: 200, maxMs: 10_000 };

export const assumed = {
  version: 5 as Version,
  keepAliveSec: 60,
  receiveMaximum: 1000,
  topicAliasMaximum: 16,
  maxInFlight: 1000,
  maxWaiting: 100_000,
  connectTimeoutMs: 10_000,
  maxQos: 2 as Qos,
} as const;

/** Not unref'd: a client that waits to connect again keeps its process alive. */
export const systemSchedule: Schedule = (ms, task) => {
  const timer = setTimeout(task, ms);
  return () => clearTimeout(timer);
};
