// When two keys of a map are the same: same type, same value.

import type { AmqpValue } from './amqp-value.ts';
import { latin1Of } from './text.ts';
import { encodeValue } from './value-writer.ts';

export function mapKey(key: AmqpValue): string {
  switch (key.type) {
    case 'string':
    case 'symbol':
    case 'uuid':
      return key.type + key.value;
    default: {
      const bytes = encodeValue(key);
      return latin1Of(bytes, 0, bytes.length);
    }
  }
}
