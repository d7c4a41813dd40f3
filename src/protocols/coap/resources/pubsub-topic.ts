// A topic of the CoAP pub/sub draft (draft-ietf-core-coap-pubsub-21): its properties, as CBOR with numbers for names, and as they are
// kept: the same CBOR below `$coap/ps/`.

import { decode, encode, Tag } from 'cbor2';
import type { Observation } from './observation.ts';

/** draft-ietf-core-coap-pubsub-21, table of properties and their CBOR keys. */
const Key = {
  name: 0,
  data: 1,
  resourceType: 2,
  format: 3,
  topicType: 4,
  expirationDate: 5,
  maxSubscribers: 6,
  observerCheck: 7,
  initialize: 8,
} as const;

/** Our own keys, where it is kept: from the range for private use. */
const ownerKey = -70_001;

export const pubsubFormat = 606; // application/core-pubsub+cbor, which the draft asks IANA for.
export const dataType = 'core.ps.data';
const maxTextBytes = 1024;
const epochTag = 1;

export type PubsubConfiguration = {
  /** The topic of the broker whose last value the data resource is. */
  readonly name: string;
  readonly resourceType: string;
  readonly format: number | undefined;
  readonly topicType: string | undefined;
  /** Seconds since the epoch. */
  readonly expirationDate: number | undefined;
  readonly maxSubscribers: number | undefined;
  readonly observerCheck: number | undefined;
  readonly initialize: Uint8Array | undefined;
};

export type PubsubTopic = {
  readonly id: string;
  readonly owner: string;
  configuration: PubsubConfiguration;
  readonly observers: Set<Observation>;
};

const decoding = { maxDepth: 4, rejectDuplicateKeys: true, ignoreGlobalTags: true, tags: null } as const;

/** A map with numbers as keys, or an array of such keys; undefined: it is neither, or cannot be read. */
export function readCbor(payload: Uint8Array): ReadonlyMap<number, unknown> | readonly number[] | undefined {
  let value: unknown;
  try {
    value = decode(payload, decoding);
  } catch {
    return undefined;
  }
  if (Array.isArray(value)) return value.every((key) => Number.isSafeInteger(key)) ? (value as number[]) : undefined;
  // An empty map has no keys to tell what they are.
  if (typeof value === 'object' && value !== null && !(value instanceof Map) && Object.keys(value).length === 0 && payload[0] === 0xa0)
    return new Map();
  if (!(value instanceof Map)) return undefined;
  for (const key of value.keys()) if (!Number.isSafeInteger(key)) return undefined;
  return value as ReadonlyMap<number, unknown>;
}

/** Undefined: a property is not as it should be, or is not known. `before`: what a partial update leaves as it is. */
export function configurationOf(map: ReadonlyMap<number, unknown>, before?: PubsubConfiguration): PubsubConfiguration | undefined {
  const name = map.has(Key.name) ? map.get(Key.name) : before?.name;
  const resourceType = map.has(Key.resourceType) ? map.get(Key.resourceType) : before?.resourceType;
  if (!isText(name) || !isText(resourceType)) return undefined;
  const date = map.get(Key.expirationDate);
  const expirationDate = date === undefined ? before?.expirationDate : secondsOf(date);
  const initialize = map.has(Key.initialize) ? map.get(Key.initialize) : before?.initialize;
  const [format, maxSubscribers, observerCheck] = ([Key.format, Key.maxSubscribers, Key.observerCheck] as const).map((key, i) => {
    return map.has(key) ? map.get(key) : [before?.format, before?.maxSubscribers, before?.observerCheck][i];
  });
  const topicType = map.has(Key.topicType) ? map.get(Key.topicType) : before?.topicType;
  const isKnown = [...map.keys()].every((key) => (key >= Key.name && key <= Key.initialize) || key === ownerKey);
  if (!isKnown || (date !== undefined && expirationDate === undefined)) return undefined;
  if (!isCount(format, 0, 0xffff) || !isCount(maxSubscribers, 0) || !isCount(observerCheck, 1)) return undefined;
  if (topicType !== undefined && !isText(topicType)) return undefined;
  if (initialize !== undefined && (!(initialize instanceof Uint8Array) || format === undefined)) return undefined;
  return { name, resourceType, format, topicType, expirationDate, maxSubscribers, observerCheck, initialize } as PubsubConfiguration;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= maxTextBytes;
}

function isCount(value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): boolean {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max);
}

/** RFC 8949 §3.4.2. */
function secondsOf(value: unknown): number | undefined {
  const seconds = value instanceof Tag && Number(value.tag) === epochTag ? Number(value.contents) : NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}

export function dataTarget({ id }: PubsubTopic): string {
  return `/ps/data/${id}`;
}

function properties(topic: PubsubTopic): Map<number, unknown> {
  const { name, resourceType, format, topicType, expirationDate, maxSubscribers, observerCheck, initialize } = topic.configuration;
  const map = new Map<number, unknown>([
    [Key.name, name],
    [Key.data, dataTarget(topic)],
    [Key.resourceType, resourceType],
  ]);
  const optional: readonly (readonly [number, unknown])[] = [
    [Key.format, format],
    [Key.topicType, topicType],
    [Key.expirationDate, expirationDate === undefined ? undefined : new Tag(epochTag, expirationDate)],
    [Key.maxSubscribers, maxSubscribers],
    [Key.observerCheck, observerCheck],
    [Key.initialize, initialize],
  ];
  for (const [key, value] of optional) if (value !== undefined) map.set(key, value);
  return map;
}

/** `keys`: only these; absent: all. */
export function writeTopic(topic: PubsubTopic, keys?: readonly number[]): Uint8Array {
  const map = properties(topic);
  return new Uint8Array(encode(keys === undefined ? map : new Map([...map].filter(([key]) => keys.includes(key)))));
}

/** Whether each of the properties is there with that very value. */
export function hasProperties(topic: PubsubTopic, wanted: ReadonlyMap<number, unknown>): boolean {
  const map = properties(topic);
  for (const [key, value] of wanted) {
    const there = map.get(key);
    if (there === undefined || Buffer.compare(encode(there), encode(value)) !== 0) return false;
  }
  return true;
}

/** Whether an update would change what cannot change: the name, the place of the data, the type. */
export function changesIdentity(topic: PubsubTopic, map: ReadonlyMap<number, unknown>): boolean {
  const fixed = properties(topic);
  return [Key.name, Key.data, Key.resourceType].some((key) => map.has(key) && map.get(key) !== fixed.get(key));
}

/** Whether somebody who creates a topic says where its data is, which is ours to say here. */
export function namesData(map: ReadonlyMap<number, unknown>): boolean {
  return map.has(Key.data);
}

export function encodeTopic(topic: PubsubTopic): Uint8Array {
  return new Uint8Array(encode(properties(topic).set(ownerKey, topic.owner)));
}

export function decodeTopic(id: string, payload: Uint8Array): PubsubTopic | undefined {
  const map = readCbor(payload);
  if (!(map instanceof Map)) return undefined;
  const configuration = configurationOf(map);
  const owner: unknown = map.get(ownerKey);
  return configuration && { id, owner: typeof owner === 'string' ? owner : '', configuration, observers: new Set() };
}
