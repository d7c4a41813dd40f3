import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { QueueCursor } from './queue-cursor.ts';
import type { Entry, Queue } from './queue.ts';
import { Stored } from '../journal/stored.ts';
import { TestBroker } from '../testing/test-broker.ts';

async function emptyQueue(): Promise<Queue> {
  const t = await TestBroker.start();
  return t.broker.space('main').obtainNamed('q')!.queue;
}

function push(queue: Queue, priority: number): Entry {
  const entry = queue.append(1, false, undefined);
  entry.stored = new Stored(undefined, undefined, 0, 10, 0, priority, undefined);
  queue.enqueue(entry);
  return entry;
}

type Action =
  | { readonly do: 'push'; readonly priority: number }
  | { readonly do: 'take' | 'return'; readonly nth: number }
  | { readonly do: 'pass'; readonly cursor: number; readonly count: number }
  | { readonly do: 'open' | 'close' | 'reset'; readonly cursor: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('push' as const), priority: fc.constantFrom(4, 4, 4, 9, 0, 5) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('take' as const, 'return' as const), nth: fc.nat(30) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), cursor: fc.nat(2), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('open' as const, 'close' as const, 'reset' as const), cursor: fc.nat(2) }) },
);

const inOrder = (a: Entry, b: Entry): number => b.stored!.priority - a.stored!.priority || a.position - b.position;

describe('what waits, and who looks at it', () => {
  test('is in order whatever comes and goes, and a cursor gives each entry once, in order', async () => {
    const queue = await emptyQueue();
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120, size: 'max' }), (actions) => {
        while (queue.takeFirst() !== undefined);
        const waiting = new Set<Entry>();
        const taken: Entry[] = [];
        const cursors = new Map<number, { cursor: QueueCursor; passed: Set<Entry> }>();
        try {
          for (const each of actions) act(each, queue, waiting, taken, cursors);
        } finally {
          for (const { cursor } of cursors.values()) cursor.close();
        }
        assert.equal(queue.cursors, undefined);
      }),
      { seed: 3, numRuns: 500 },
    );
  });

  function act(
    each: Action,
    queue: Queue,
    waiting: Set<Entry>,
    taken: Entry[],
    cursors: Map<number, { cursor: QueueCursor; passed: Set<Entry> }>,
  ): void {
    const sorted = [...waiting].toSorted(inOrder);
    if (each.do === 'push') waiting.add(push(queue, each.priority));
    else if (each.do === 'take' && sorted.length > 0) {
      const entry = sorted[each.nth % sorted.length]!;
      queue.takeOut(entry);
      waiting.delete(entry);
      taken.push(entry);
    } else if (each.do === 'return' && taken.length > 0) {
      const [entry] = taken.splice(each.nth % taken.length, 1) as [Entry];
      queue.wait(entry);
      waiting.add(entry);
      for (const { passed } of cursors.values()) passed.delete(entry);
    } else if ('cursor' in each) look(each, queue, cursors);
    const now = [...waiting].toSorted(inOrder);
    assert.deepEqual(queue.ready.toArray().map(name), now.map(name));
    assert.equal(queue.ready.length, now.length);
    for (const { cursor, passed } of cursors.values()) {
      assert.equal(
        cursor.next(),
        now.find((entry) => !passed.has(entry)),
      );
    }
  }

  function look(
    each: Extract<Action, { cursor: number }>,
    queue: Queue,
    cursors: Map<number, { cursor: QueueCursor; passed: Set<Entry> }>,
  ): void {
    const at = cursors.get(each.cursor);
    if (each.do === 'open' && at === undefined) cursors.set(each.cursor, { cursor: new QueueCursor(queue), passed: new Set() });
    if (at === undefined) return;
    if (each.do === 'reset') {
      at.cursor.reset();
      at.passed.clear();
    }
    if (each.do === 'close') {
      at.cursor.close();
      cursors.delete(each.cursor);
    }
    if (each.do !== 'pass') return;
    for (let i = 0; i < each.count; i++) {
      const entry = at.cursor.next();
      if (entry === undefined) return;
      at.cursor.pass(entry);
      at.passed.add(entry);
    }
  }

  const name = ({ level, position }: Entry): string => `${level}/${position}`;

  test('looking costs no more for what has been looked at', async () => {
    const queue = await emptyQueue();
    for (let i = 0; i < 100_000; i++) push(queue, 4);
    const cursor = new QueueCursor(queue);
    let looked = 0;
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      cursor.pass(entry);
      looked++;
    }
    const began = performance.now();
    for (let i = 0; i < 10_000; i++) {
      const entry = push(queue, 4);
      assert.equal(cursor.next(), entry);
      cursor.pass(entry);
      const first = queue.takeFirst()!;
      queue.wait(first);
      assert.equal(cursor.next(), first);
      cursor.pass(first);
    }
    const ms = performance.now() - began;
    assert.equal(looked, 100_000);
    assert.ok(ms < 2000, `${ms} ms for 20,000 entries behind 100,000`);
  });
});
