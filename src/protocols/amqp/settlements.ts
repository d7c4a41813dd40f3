// Outcomes of the peer in the words of the broker (docs/mapping.md §4).

import type { Settlement, SettlementDetail } from '../../broker/port.ts';
import type { Property, TypedValue } from '../../message/attributes.ts';
import { brokersOwn } from './annotations.ts';
import type { AmqpOutcome, AmqpValue, DeliveryState, Fields } from './codec/index.ts';

export type BrokerSettlement = { readonly settlement: Exclude<Settlement, 'received'>; readonly detail: SettlementDetail | undefined };

const accepted: BrokerSettlement = { settlement: 'accepted', detail: undefined };
const released: BrokerSettlement = { settlement: 'released', detail: undefined };
const rejected: BrokerSettlement = { settlement: 'rejected', detail: undefined };

/** Of why a message is rejected: it stays with each that one disposition rejects. */
const maxConditionChars = 128;
const maxDescriptionChars = 1024;
/** Most annotations that a peer may add by `modified`: they stay with the message. */
const maxAnnotations = 32;

/** Undefined: the state is no outcome of a delivery. */
export function settlementOf(state: DeliveryState | AmqpOutcome): BrokerSettlement | undefined {
  switch (state.type) {
    case 'accepted':
      return accepted;
    case 'released':
      return released;
    case 'rejected': {
      const { error } = state;
      if (error === undefined) return rejected;
      const condition = error.condition.slice(0, maxConditionChars);
      const description = error.description?.slice(0, maxDescriptionChars);
      return { settlement: 'rejected', detail: { reason: { condition, description } } };
    }
    case 'modified': {
      const annotations = annotationsOf(state.messageAnnotations);
      return {
        settlement: 'modified',
        detail: {
          deliveryFailed: state.deliveryFailed === true,
          undeliverableHere: state.undeliverableHere === true,
          ...(annotations.length > 0 && { annotations }),
        },
      };
    }
    default:
      return undefined;
  }
}

/** What could be said of all deliveries alike: it is kept as long as the link. */
export function plainOutcome(outcome: AmqpOutcome): AmqpOutcome {
  if (outcome.type === 'rejected') return { type: 'rejected' };
  if (outcome.type !== 'modified') return outcome;
  const { deliveryFailed, undeliverableHere } = outcome;
  return { type: 'modified', deliveryFailed, undeliverableHere };
}

/** Those with values that the neutral message knows. */
function annotationsOf(fields: Fields | undefined): readonly Property[] {
  const annotations: Property[] = [];
  for (const [key, value] of fields ?? []) {
    if (annotations.length === maxAnnotations) break;
    if (!brokersOwn.has(key) && isTyped(value)) annotations.push({ key, value });
  }
  return annotations;
}

function isTyped(value: AmqpValue): value is TypedValue {
  switch (value.type) {
    case 'list':
    case 'map':
    case 'array':
    case 'described':
    case 'char':
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
      return false;
    default:
      return true;
  }
}
