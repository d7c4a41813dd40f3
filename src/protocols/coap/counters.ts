// What CoAP counts: plain numbers, added to where things happen and turned into samples when somebody asks.

import type { Sample } from '../../base/metrics.ts';
import { codeName } from './codec/index.ts';

/** Why a message was dropped without an answer, or answered by a Reset. */
export type DropCause =
  | 'not coap'
  | 'malformed'
  | 'unknown critical option'
  | 'stray acknowledgement'
  | 'stray response'
  | 'multicast'
  | 'too many requests'
  | 'amplification'
  | 'outbox full'
  | 'ping';

export class Counters {
  /** By code. */
  readonly received = new Float64Array(256);
  readonly sent = new Float64Array(256);
  receivedBytes = 0;
  sentBytes = 0;
  /** Peers of UDP and DTLS that are known now. */
  datagramPeers = 0;
  /** Open connections. */
  connections = 0;
  /** Messages that had been received before. */
  duplicates = 0;
  /** Kept to recognise those, now. */
  remembered = 0;
  rememberedBytes = 0;
  /** Forgotten before their time, because there were too many. */
  forgottenEarly = 0;
  retransmissions = 0;
  /** Confirmable messages that were never acknowledged. */
  lost = 0;
  /** Confirmable messages, and notifications, that the peer answered by a Reset. */
  resets = 0;
  separateResponses = 0;
  /** Requests that wait for their answer, now. */
  pendingRequests = 0;
  /** Answers that were replaced by 4.01 with Echo, because the address was not proven. */
  echoChallenges = 0;
  /** Addresses that proved themselves, by Echo or by acknowledgements. */
  addressesProven = 0;
  /** Requests to peers, by what became of them. */
  readonly outgoing = { sent: 0, answered: 0, timeout: 0, reset: 0, gone: 0, full: 0 };
  readonly dropped: Record<DropCause, number> = {
    'not coap': 0,
    malformed: 0,
    'unknown critical option': 0,
    'stray acknowledgement': 0,
    'stray response': 0,
    multicast: 0,
    'too many requests': 0,
    amplification: 0,
    'outbox full': 0,
    ping: 0,
  };
  /** Connections that were ended here, by why. */
  readonly aborted = new Map<string, number>();
  /** Times that reading from a connection was suspended. */
  pauses = 0;

  countAbort(why: string): void {
    this.aborted.set(why, (this.aborted.get(why) ?? 0) + 1);
  }

  *samples(): Iterable<Sample> {
    yield counter('received_bytes', 'Bytes of messages received.', this.receivedBytes);
    yield counter('sent_bytes', 'Bytes of messages sent.', this.sentBytes);
    yield* byCode('messages_received', 'Messages received.', this.received);
    yield* byCode('messages_sent', 'Messages sent, without repetitions.', this.sent);
    yield gauge('datagram_peers', 'Peers of UDP and DTLS that are known.', this.datagramPeers);
    yield gauge('connections', 'Open connections of TCP, TLS and WebSocket.', this.connections);
    yield counter('duplicates', 'Messages that had been received before.', this.duplicates);
    yield gauge('remembered_messages', 'Messages remembered to recognise repetitions.', this.remembered);
    yield gauge('remembered_bytes', 'Memory for those.', this.rememberedBytes);
    yield counter('forgotten_early', 'Of those: forgotten before their time, because there were too many.', this.forgottenEarly);
    yield counter('retransmissions', 'Confirmable messages sent again.', this.retransmissions);
    yield counter('lost', 'Confirmable messages that were never acknowledged.', this.lost);
    yield counter('resets_received', 'Messages that a peer answered by a Reset.', this.resets);
    yield counter('separate_responses', 'Responses that came after their acknowledgement.', this.separateResponses);
    yield gauge('pending_requests', 'Requests that wait for their answer.', this.pendingRequests);
    yield counter('echo_challenges', 'Answers replaced by 4.01 with Echo, because the address was not proven.', this.echoChallenges);
    yield counter('addresses_proven', 'Addresses that proved themselves.', this.addressesProven);
    for (const [result, value] of Object.entries(this.outgoing)) {
      yield counter('requests_to_peers', 'Requests to peers, by what became of them.', value, { result });
    }
    for (const [reason, value] of Object.entries(this.dropped)) {
      yield counter('dropped', 'Messages that were dropped or rejected.', value, { reason });
    }
    for (const [reason, value] of this.aborted) yield counter('aborts', 'Connections that were ended here.', value, { reason });
    yield counter('pauses', 'Times that reading from a connection was suspended.', this.pauses);
  }
}

function counter(name: string, help: string, value: number, labels?: Record<string, string>): Sample {
  const sample = { name: `heliograph_coap_${name}_total`, help, type: 'counter', value } as const;
  return labels === undefined ? sample : { ...sample, labels };
}

function gauge(name: string, help: string, value: number): Sample {
  return { name: `heliograph_coap_${name}`, help, type: 'gauge', value };
}

function* byCode(name: string, help: string, values: Float64Array): Iterable<Sample> {
  for (const [code, value] of values.entries()) {
    if (value > 0) yield counter(name, help, value, { code: codeName(code) });
  }
}
