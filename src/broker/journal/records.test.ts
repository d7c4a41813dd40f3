import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Attributes, MessageId, TypedValue } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import type { Guarantee } from '../../message/message.ts';
import { RowError, forEachRecord, trimRow } from '../../store/row.ts';
import {
  RecordKind,
  entryStates,
  readDelivery,
  readEntries,
  readMessage,
  readMovedFrom,
  readNumber,
  readOrigins,
  readQueue,
  readRetained,
  readSession,
  readSettle,
  readSubscribe,
  readUnsubscribe,
  recordVersion,
  writeDelivery,
  writeEntries,
  writeMessage,
  writeMovedFrom,
  writeNumber,
  writeOrigins,
  writeQueue,
  writeRetained,
  writeSession,
  writeSettle,
  writeSubscribe,
  writeUnsubscribe,
} from './records.ts';
import type { CheckpointedEntry, EntryFields } from './records.ts';
import { RowWriter } from './row-writer.ts';
import { readTransaction, readTransactionId } from '../transactions/transaction-record.ts';

const encoder = new TextEncoder();

function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const text = fc.string({ unit: 'binary', maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 200 });
/** Ids, positions and rows: journals live for long. */
const number = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 53 - 1 }));
const timeMs = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 53 - 1 }));
const durationMs = fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 2 ** 53 - 2 }));
const id = fc.integer({ min: 0, max: 65_535 });
const tag = fc.uint8Array({ maxLength: 32 }).map((tagBytes) => String.fromCharCode(...tagBytes));
const originId = fc.oneof(id, tag);
const guarantee = fc.constantFrom<Guarantee>(0, 1, 2);
const ids = fc.option(fc.array(fc.integer({ min: 1, max: 268_435_455 }), { minLength: 1, maxLength: 5 }), { nil: undefined });

const messageId: fc.Arbitrary<MessageId> = fc.oneof(
  record({ type: fc.constantFrom('string', 'symbol', 'uuid'), value: text }),
  record({ type: fc.constant('binary'), value: bytes }),
  record({ type: fc.constant('ulong'), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
);
const value: fc.Arbitrary<TypedValue> = fc.oneof(
  messageId,
  fc.constant<TypedValue>({ type: 'null', value: null }),
  record({ type: fc.constant('boolean'), value: fc.boolean() }),
  record({ type: fc.constantFrom('byte', 'short', 'int'), value: fc.integer() }),
  record({ type: fc.constantFrom('ubyte', 'ushort', 'uint'), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  record({ type: fc.constantFrom('long', 'timestamp'), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  record({ type: fc.constantFrom('float', 'double'), value: fc.double() }),
);
const attributes: fc.Arbitrary<Attributes> = fc.record(
  {
    payloadFormat: fc.constantFrom('bytes', 'utf8'),
    contentType: text,
    contentEncoding: text,
    properties: fc.array(record({ key: text, value }), { minLength: 1, maxLength: 5 }),
    correlation: messageId,
    messageId,
    replyTo: record({ kind: fc.constantFrom('topic', 'queue'), name: text }),
    subject: text,
    groupId: text,
    groupSequence: fc.integer({ min: 0, max: 0xffff_ffff }),
    deliverAtMs: timeMs,
    death: fc.record(
      { reason: text, description: text, from: text, diedAtMs: timeMs },
      { requiredKeys: ['reason', 'from', 'diedAtMs'], noNullPrototype: true },
    ),
    annotations: fc.array(record({ key: text, value }), { minLength: 1, maxLength: 3 }),
    residue: record({ protocol: text, bytes }),
  },
  { requiredKeys: [], noNullPrototype: true },
);
const message = fc
  .record({
    topic: text,
    payload: bytes,
    offset: fc.nat(5),
    guarantee,
    retain: fc.boolean(),
    priority: fc.integer({ min: 0, max: 9 }),
    expiresAtMs: timeMs,
    acceptedAtMs: timeMs,
    sender: text,
    attributes: fc.option(attributes, { nil: undefined }),
  })
  .map((m) => {
    const buffer = new Uint8Array(m.offset + m.payload.length + 3).fill(0xee);
    buffer.set(m.payload, m.offset);
    const end = m.offset + m.payload.length;
    return new Message(
      m.topic,
      encoder.encode(m.topic),
      buffer,
      m.offset,
      end,
      m.guarantee,
      m.retain,
      m.priority,
      m.expiresAtMs,
      m.acceptedAtMs,
      m.sender,
      m.attributes,
    );
  });

const entry: fc.Arbitrary<EntryFields> = record({
  queueId: number,
  position: number,
  guarantee,
  retained: fc.boolean(),
  subscriptionIds: ids,
  deliveryCount: fc.nat(300),
});
const reference = record({
  row: number,
  index: number,
  bytes: number,
  expiresAtMs: timeMs,
  priority: fc.nat(9),
  groupId: fc.option(text, { nil: undefined }),
  deliverAtMs: timeMs,
});
const checkpointed: fc.Arbitrary<CheckpointedEntry> = fc
  .tuple(
    entry,
    record({ state: fc.constantFrom(...entryStates), session: number, deliveryId: id, returns: fc.boolean(), stored: reference }),
  )
  .map(([fields, rest]) => ({ ...fields, ...rest, stored: rest.state === 'received' ? undefined : rest.stored }));

/** All of a message that must not change, as plain values. */
function plain(m: Message): unknown {
  const { topic, guarantee: g, retain, priority, expiresAtMs, acceptedAtMs, sender } = m;
  return {
    topic,
    topicBytes: [...m.topicBytes],
    payload: [...m.payload()],
    g,
    retain,
    priority,
    expiresAtMs,
    acceptedAtMs,
    sender,
    a: m.attributes,
  };
}

/** What one written record says when it is read between two others. */
function back<T>(kind: number, write: (writer: RowWriter) => void, read: (row: Uint8Array, start: number, end: number) => T): T {
  const writer = new RowWriter();
  writeNumber(writer, RecordKind.counters, 1);
  write(writer);
  writeNumber(writer, RecordKind.counters, 2);
  assert.equal(writer.records, 3);
  const whole = writer.finish();
  const seen: T[] = [];
  for (const row of [whole, trimRow(whole, Uint32Array.of(1))]) {
    forEachRecord(row, (index, found, start, end) => {
      if (index !== 1) return;
      assert.equal(found, kind);
      seen.push(read(row, start, end));
    });
  }
  assert.equal(seen.length, 2);
  return seen[1]!;
}

function roundTrip<T>(
  kind: number,
  arbitrary: fc.Arbitrary<T>,
  write: (writer: RowWriter, written: T) => void,
  read: (row: Uint8Array, start: number, end: number) => T,
): void {
  fc.assert(
    fc.property(arbitrary, (written) =>
      assert.deepEqual(
        back(kind, (writer) => write(writer, written), read),
        written,
      ),
    ),
  );
}

describe('what is written is read', () => {
  test('messages', () => {
    const messages = record({
      message,
      retainedIn: fc.option(text, { nil: undefined }),
      originSession: number,
      originId,
      entries: fc.array(entry, { maxLength: 5 }),
    });
    fc.assert(
      fc.property(messages, ({ message: m, retainedIn, originSession, originId, entries }) => {
        const found = back(
          RecordKind.message,
          (writer) => writeMessage(writer, m, retainedIn, originSession, originId, entries),
          readMessage,
        );
        assert.deepEqual(plain(found.message), plain(m));
        assert.deepEqual(found.entries, entries);
        assert.equal(found.retainedIn, retainedIn);
        assert.equal(found.originSession, originSession);
        assert.equal(found.originId, originSession === 0 ? 0 : originId);
      }),
    );
  });

  test('where the payload of a message is', () => {
    fc.assert(
      fc.property(message, (m) => {
        const writer = new RowWriter();
        const start = writeMessage(writer, m, undefined, 0, 0, []);
        assert.deepEqual([...writer.finish().subarray(start, start + m.end - m.start)], [...m.payload()]);
      }),
    );
  });

  test('sessions', () => {
    const session = record({
      queueId: number,
      tenant: text,
      clientId: text,
      protocol: text,
      owner: text,
      expiryMs: durationMs,
      disconnectedAtMs: timeMs,
      will: fc.option(record({ message, delayMs: timeMs, dueAtMs: timeMs }), { nil: undefined }),
      nextPosition: number,
      deadLetters: fc.boolean(),
      queuesAtMostOnce: fc.boolean(),
      isPart: fc.boolean(),
    });
    fc.assert(
      fc.property(session, (written) => {
        const found = back(RecordKind.session, (writer) => writeSession(writer, written), readSession);
        const inWords = (s: typeof written): unknown => ({ ...s, will: s.will && { ...s.will, message: plain(s.will.message) } });
        assert.deepEqual(inWords(found as typeof written), inWords(written));
      }),
    );
  });

  test('all others', () => {
    roundTrip(
      RecordKind.settle,
      record({ queueId: number, position: number }),
      (writer, { queueId, position }) => writeSettle(writer, queueId, position),
      readSettle,
    );
    const delivery = record({ queueId: number, position: number, session: number, deliveryId: id, returns: fc.boolean() });
    for (const kind of [RecordKind.sent, RecordKind.received]) {
      roundTrip(kind, delivery, (writer, written) => writeDelivery(writer, kind, written), readDelivery);
    }
    const origins = record({ session: number, ids: fc.array(originId) });
    for (const kind of [RecordKind.origins, RecordKind.originReleased]) {
      roundTrip(kind, origins, (writer, written) => writeOrigins(writer, kind, written.session, written.ids), readOrigins);
    }
    const subscription = record({
      queueId: number,
      filter: text,
      guarantee,
      noLocal: fc.boolean(),
      retainAsPublished: fc.boolean(),
      subscriptionId: fc.integer({ min: 0, max: 268_435_455 }),
      selector: fc.option(text, { nil: undefined }),
      exclusive: fc.boolean(),
      browse: fc.boolean(),
      retainedOnly: fc.boolean(),
    });
    roundTrip(RecordKind.subscribe, subscription, writeSubscribe, readSubscribe);
    roundTrip(
      RecordKind.unsubscribe,
      record({ queueId: number, filter: text }),
      (writer, { queueId, filter }) => writeUnsubscribe(writer, queueId, filter),
      readUnsubscribe,
    );
    const queue = record({
      queueId: number,
      kind: fc.constantFrom('shared', 'named', 'delayed'),
      retired: fc.boolean(),
      tenant: text,
      name: text,
      nextPosition: number,
      keepMs: durationMs,
      forsakenAtMs: timeMs,
      selector: fc.option(text, { nil: undefined }),
    });
    roundTrip(RecordKind.queue, queue, writeQueue, readQueue);
    for (const kind of [RecordKind.removed, RecordKind.counters]) {
      roundTrip(kind, number, (writer, written) => writeNumber(writer, kind, written), readNumber);
    }
    roundTrip(RecordKind.movedFrom, record({ shard: number, queueId: number, position: number }), writeMovedFrom, readMovedFrom);
    roundTrip(RecordKind.entries, fc.array(checkpointed, { maxLength: 5 }), writeEntries, readEntries);
    const retained = fc.oneof(
      record({ tenant: text, topic: text, stored: fc.constant(undefined), owner: fc.constant('') }),
      record({ tenant: text, topic: text, stored: reference, owner: text }),
    );
    fc.assert(
      fc.property(retained, (written) => {
        const kind = written.stored === undefined ? RecordKind.retainedCleared : RecordKind.retained;
        const found = back(
          kind,
          (writer) => writeRetained(writer, written),
          (row, start, end) => readRetained(kind, row, start, end),
        );
        assert.deepEqual(found, written);
      }),
    );
  });
});

const readers: Record<number, (row: Uint8Array, start: number, end: number) => unknown> = {
  [RecordKind.message]: readMessage,
  [RecordKind.settle]: readSettle,
  [RecordKind.sent]: readDelivery,
  [RecordKind.received]: readDelivery,
  [RecordKind.originReleased]: readOrigins,
  [RecordKind.session]: readSession,
  [RecordKind.subscribe]: readSubscribe,
  [RecordKind.unsubscribe]: readUnsubscribe,
  [RecordKind.queue]: readQueue,
  [RecordKind.removed]: readNumber,
  [RecordKind.retained]: (row, start, end) => readRetained(RecordKind.retained, row, start, end),
  [RecordKind.retainedCleared]: (row, start, end) => readRetained(RecordKind.retainedCleared, row, start, end),
  [RecordKind.entries]: readEntries,
  [RecordKind.origins]: readOrigins,
  [RecordKind.counters]: readNumber,
  [RecordKind.movedFrom]: readMovedFrom,
  [RecordKind.transaction]: readTransaction,
  [RecordKind.transactionDone]: readTransactionId,
  [RecordKind.transactionPart]: readTransactionId,
};

/** Reads, or says by RowError why not. Anything else is a fault. */
function readOrRefuse(kind: number, body: Uint8Array): 'read' | 'refused' {
  try {
    readers[kind]!(body, 0, body.length);
    return 'read';
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    return 'refused';
  }
}

describe('what was never written', () => {
  test('every kind has a reader here', () => {
    assert.deepEqual(
      Object.keys(readers).map(Number),
      Object.values(RecordKind).toSorted((a, b) => a - b),
    );
  });

  test('garbage is read or refused, and by nothing but RowError', () => {
    for (const kind of Object.values(RecordKind)) {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 80 }), (garbage) => {
          readOrRefuse(kind, garbage);
          readOrRefuse(kind, Uint8Array.of(1, ...garbage));
        }),
      );
    }
  });

  test('a message is refused wherever it is cut before its payload, and with any byte changed it is read or refused', () => {
    fc.assert(
      fc.property(message, fc.array(entry, { maxLength: 3 }), fc.nat(), fc.nat(255), (m, entries, at, to) => {
        const writer = new RowWriter();
        const payloadStart = writeMessage(writer, m, 'tenant', 5, 6, entries);
        const row = writer.finish();
        const body = row.subarray(6);
        for (let end = 0; end < payloadStart - 6; end++) assert.equal(readOrRefuse(RecordKind.message, body.slice(0, end)), 'refused');
        const changed = body.slice();
        changed[at % changed.length] = to;
        readOrRefuse(RecordKind.message, changed);
      }),
      { numRuns: 50 },
    );
  });

  test('another version of a record is refused', () => {
    for (const version of [0, recordVersion + 1]) {
      const message = new RegExp(`version ${version};`);
      for (const kind of Object.values(RecordKind)) {
        assert.throws(() => readers[kind]!(Uint8Array.of(version, 0, 0, 0, 0, 0, 0, 0), 0, 8), { name: 'RowError', message });
      }
    }
  });
});
