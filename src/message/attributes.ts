// The fields of a message that most messages do not have (docs/mapping.md §1). Values own their bytes: none of them is a
// view of a read buffer.

/** A value with the type that its protocol gave it, so that it leaves as it came. Integers keep their width. */
export type TypedValue =
  | { readonly type: 'string' | 'symbol' | 'uuid'; readonly value: string }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'byte' | 'short' | 'int' | 'ubyte' | 'ushort' | 'uint'; readonly value: number }
  | { readonly type: 'long' | 'timestamp'; readonly value: bigint }
  | { readonly type: 'ulong'; readonly value: bigint }
  | { readonly type: 'float' | 'double'; readonly value: number }
  | { readonly type: 'binary'; readonly value: Uint8Array }
  | { readonly type: 'null'; readonly value: null };

/** A user property. Their order and duplicates are kept. */
export type Property = { readonly key: string; readonly value: TypedValue };

/** An identifier of a message or of a correlation. */
export type MessageId = Extract<TypedValue, { type: 'string' | 'symbol' | 'uuid' | 'binary' | 'ulong' }>;

/** Where an answer should go. */
export type ReplyAddress = { readonly kind: 'topic' | 'queue'; readonly name: string };

export type Death = {
  /** `rejected`, `expired`, `delivery-limit`, `undeliverable`; or the condition that the consumer gave. */
  readonly reason: string;
  readonly description?: string | undefined;
  /** Where it was: `$queue/<name>`, `$share/<group>/<filter>` or `inbox/<clientId>`. */
  readonly from: string;
  readonly diedAtMs: number;
};

export type Attributes = {
  /** 'utf8': the sender declared the payload to be UTF-8 text. */
  readonly payloadFormat?: 'bytes' | 'utf8' | undefined;
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly properties?: readonly Property[] | undefined;
  readonly correlation?: MessageId | undefined;
  readonly messageId?: MessageId | undefined;
  readonly replyTo?: ReplyAddress | undefined;
  readonly subject?: string | undefined;
  readonly groupId?: string | undefined;
  readonly groupSequence?: number | undefined;
  /** Wall clock: not to be delivered before. */
  readonly deliverAtMs?: number | undefined;
  /** Why and whence it came into a dead-letter queue. */
  readonly death?: Death | undefined;
  /** Set by consumers that gave it back (AMQP modified, message-annotations), last one wins. */
  readonly annotations?: readonly Property[] | undefined;
  /** What makes a delivery in the same protocol identical to what arrived; opaque to the core. */
  readonly residue?: { readonly protocol: string; readonly bytes: Uint8Array } | undefined;
  /** The fields, but deliverAtMs, death and annotations, are read from the residue when somebody asks: see residues.ts. */
  readonly isReadFromResidue?: true | undefined;
};

/**
 * The same fields with some of them changed. Attributes may be objects that read their fields on demand, with getters that a
 * spread does not see: who changes a field uses this.
 */
export function withFields(attributes: Attributes | undefined, changes: Attributes): Attributes {
  if (attributes === undefined) return changes;
  const { payloadFormat, contentType, contentEncoding, properties, correlation, messageId, replyTo, subject } = attributes;
  const { groupId, groupSequence, deliverAtMs, death, annotations, residue } = attributes;
  const fields: Attributes = {
    payloadFormat,
    contentType,
    contentEncoding,
    properties,
    correlation,
    messageId,
    replyTo,
    subject,
    groupId,
    groupSequence,
    deliverAtMs,
    death,
    annotations,
    residue,
  };
  return { ...fields, ...changes };
}
