// The filters of a source [AMQP 3.5.8]: which of them the broker honours, and what it says of them in its answer.

import { AmqpFault, type AmqpValue, Condition, type Fields } from './codec/index.ts';

export type SourceFilters = {
  /** JMS selector. */
  readonly selector: string | undefined;
  readonly noLocal: boolean;
  /** Last values of topics: none, then what is published (`first`), or nothing else (`only`). */
  readonly retained: 'never' | 'first' | 'only';
  /** Those of the peer's filters that are honoured, as they came: the answer shows nothing else. */
  honoured: Fields | undefined;
};

/** What a filter is, by the code or the name of its descriptor; clients send either, under a key of their liking. */
const filterKinds = new Map<bigint | string, 'selector' | 'noLocal' | 'retained'>([
  [0x0000_468c_0000_0004n, 'selector'],
  ['apache.org:selector-filter:string', 'selector'],
  [0x0000_468c_0000_0003n, 'noLocal'],
  ['apache.org:no-local-filter:list', 'noLocal'],
  ['heliograph:retained', 'retained'],
]);

export const noFilters: SourceFilters = { selector: undefined, noLocal: false, retained: 'never', honoured: undefined };

/** A filter that is known but cannot be read is a fault; one that is not known is left out of the answer, as the peer can see. */
export function readFilters(filters: Fields | undefined): SourceFilters | AmqpFault {
  if (filters === undefined || filters.size === 0) return noFilters;
  const honoured = new Map<string, AmqpValue>();
  let selector: string | undefined;
  let noLocal = false;
  let retained: SourceFilters['retained'] = 'never';
  for (const [key, filter] of filters) {
    const value = filter.type === 'described' ? filter.value : filter;
    switch (kindOf(key, filter)) {
      case 'selector':
        if (value.type !== 'string' && value.type !== 'symbol')
          return new AmqpFault(Condition.invalidField, 'a selector filter holds a string');
        selector = value.value;
        break;
      case 'noLocal':
        noLocal = true;
        break;
      case 'retained': {
        const mode = retainedMode(value);
        if (mode === undefined)
          return new AmqpFault(Condition.invalidField, 'the filter heliograph:retained is true, only, first or never');
        retained = mode;
        break;
      }
      case undefined:
        continue;
    }
    honoured.set(key, filter);
  }
  return { selector, noLocal, retained, honoured: honoured.size === 0 ? undefined : honoured };
}

/** Whether the filter is described is the peer's business: some send the bare value under the name of the filter. */
function kindOf(key: string, filter: AmqpValue): 'selector' | 'noLocal' | 'retained' | undefined {
  if (filter.type !== 'described') return filterKinds.get(key);
  const { descriptor } = filter;
  return descriptor.type === 'ulong' || descriptor.type === 'symbol' || descriptor.type === 'string'
    ? filterKinds.get(descriptor.value)
    : undefined;
}

function retainedMode(value: AmqpValue): SourceFilters['retained'] | undefined {
  if (value.type === 'boolean') return value.value ? 'only' : 'never';
  if (value.type !== 'string' && value.type !== 'symbol') return undefined;
  return value.value === 'only' || value.value === 'first' || value.value === 'never' ? value.value : undefined;
}
