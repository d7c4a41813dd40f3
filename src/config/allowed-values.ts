import { formatQuantity, quantityUnit } from './quantity.ts';
import type { SchemaNode } from './schema-node.ts';

/** What a setting may be, briefly, for the documentation: `100ms to 10min`. Empty for text without a shape and for sections. */
export function allowedValues(schema: SchemaNode): string {
  if (schema.enum !== undefined) return schema.enum.join(', ');
  if (schema.type === 'boolean') return 'true, false';
  if (schema.type === 'array') return `list of ${schema.minItems ?? 0} to ${schema.maxItems ?? 'any number'}`;
  if (schema.type !== 'integer') return schema.shape ?? '';
  const unit = quantityUnit(schema.unit);
  const show = (value: number) => (unit === undefined ? String(value) : formatQuantity(unit, value));
  return `${show(schema.minimum ?? 0)} to ${show(schema.maximum ?? Number.MAX_SAFE_INTEGER)}`;
}
