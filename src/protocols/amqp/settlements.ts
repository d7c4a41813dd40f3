// Outcomes of the peer in the words of the broker (docs/mapping.md §4).

import type { Settlement, SettlementDetail } from '../../broker/port.ts';
import type { Property, TypedValue } from '../../message/attributes.ts';
import { brokersOwn } from './annotations.ts';
import type { AmqpOutcome, AmqpValue, DeliveryState, Fields } from './codec/index.ts';

export type BrokerSettlement = { readonly settlement: Exclude<Settlement, 'received'>; readonly detail: SettlementDetail | undefined };

const accepted: BrokerSettlement = { settlement: 'accepted', detail: undefined };
const released: BrokerSettlement = { settlement: 'released', detail: undefined };
const rejected: BrokerSettlement = { settlement: 'rejected', detail: undefined };

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
      return { settlement: 'rejected', detail: { reason: { condition: error.condition, description: error.description } } };
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
