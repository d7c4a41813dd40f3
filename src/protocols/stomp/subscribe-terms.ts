// What a SUBSCRIBE asks for.

import type { Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import { type Frame, StompFault } from './codec/index.ts';
import { parseDestination } from './destination.ts';
import type { StompOptions } from './options.ts';
import type { AckMode, SubscriptionTerms } from './subscription.ts';
import { commonRequest, nameText, sessionPrefix, type Terms } from './terms.ts';
import type { Session } from '../../broker/port.ts';

export type Subscriber = {
  readonly terms: Terms;
  readonly principal: Principal;
  readonly facts: WireFacts;
  readonly session: Session;
  /** Of the connection. */
  readonly serial: number;
};

const ackModes: readonly AckMode[] = ['auto', 'client', 'client-individual'];

export function subscribeTerms(
  frame: Frame,
  { terms, principal, facts, session, serial }: Subscriber,
  options: StompOptions,
): SubscriptionTerms | StompFault {
  const destination = frame.get('destination');
  if (destination === undefined) return missing('SUBSCRIBE', 'destination');
  const id = frame.get('id');
  // 1.0 names a subscription by its destination where it gives no id.
  if (id === undefined && terms.version !== '1.0') return missing('SUBSCRIBE', 'id');
  if (id !== undefined && Buffer.byteLength(id) > options.maxClientIdBytes)
    return new StompFault('bad id', 'the id of a subscription is too long');
  const ack = frame.get('ack') ?? 'auto';
  if (!isAckMode(ack)) return new StompFault('bad ack', `ack is one of ${ackModes.join(', ')}`);
  const isDurable = frame.get('durable') === 'true';
  if (isDurable && (!terms.isNamed || id === undefined)) {
    return new StompFault('bad subscription', 'a durable subscription needs a client-id in CONNECT, and an id');
  }
  const prefetch = frame.get('prefetch-count');
  if (prefetch !== undefined && !/^[1-9]\d{0,4}$/.test(prefetch))
    return new StompFault('bad prefetch-count', 'prefetch-count is a number from 1 to 65535');
  const { filter, style } = parseDestination(destination);
  if (Buffer.byteLength(filter) > options.maxTopicBytes) return new StompFault('bad destination', 'the destination is too long');
  const selector = frame.get('selector');
  const name = nameText(id ?? destination);
  return {
    id: id ?? destination,
    hasId: id !== undefined,
    style,
    ack,
    isDurable,
    request: {
      filter,
      guarantee: 1,
      noLocal: frame.get('no-local') === 'true',
      retainAsPublished: false,
      retainHandling: 'ifNew',
      subscriptionId: 0,
      ...(selector !== undefined && { selector }),
    },
    attach: {
      ...commonRequest(terms, principal, facts),
      clientId: `${sessionPrefix(terms)}${isDurable ? 'durable' : `#${serial}`}/${name}`,
      cleanStart: !isDurable,
      sessionExpiryMs: isDurable ? options.maxSubscriptionExpiryMs : 0,
      receiveMaximum: Math.min(options.maxUnacknowledged, Number(prefetch ?? options.maxUnacknowledged)),
      partOf: session,
      queuesAtMostOnce: true,
      deadLetters: ack !== 'auto',
    },
  };
}

export function missing(command: string, header: string): StompFault {
  return new StompFault(`header ${header} missing`, `${command} needs a header ${header}`);
}

function isAckMode(text: string): text is AckMode {
  return (ackModes as readonly string[]).includes(text);
}
