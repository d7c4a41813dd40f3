import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ackKey, AckOrder, packetIdOf, qosOf, reasonOf } from './ack-order.ts';

function drain(order: AckOrder): string[] {
  const out: string[] = [];
  for (let answer = order.next(); answer >= 0; answer = order.next()) {
    out.push(`q${qosOf(answer)} ${packetIdOf(answer)} 0x${reasonOf(answer).toString(16)}`);
  }
  return out;
}

test('an answer that is known waits for an earlier one that is not', () => {
  const order = new AckOrder();
  order.wait(ackKey(1, 1));
  order.follow(ackKey(2, 2), 0x87);
  order.wait(ackKey(1, 65_535));
  assert.deepEqual(drain(order), []);
  assert.equal(order.decide(ackKey(1, 1), 0), true);
  assert.deepEqual(drain(order), ['q1 1 0x0', 'q2 2 0x87']);
  assert.equal(order.decide(ackKey(1, 65_535), 0x10), true);
  assert.deepEqual(drain(order), ['q1 65535 0x10']);
  assert.equal(order.length, 0);
});

test('a packet id is known per QoS, and an unknown one is refused', () => {
  const order = new AckOrder();
  assert.equal(order.decide(ackKey(1, 7), 0), false);
  order.wait(ackKey(1, 7));
  assert.equal(order.decide(ackKey(2, 7), 0), false);
  assert.equal(order.decide(ackKey(1, 8), 0), false);
  assert.equal(order.decide(ackKey(1, 7), 0), true);
  assert.equal(order.decide(ackKey(1, 7), 0), false, 'decided once');
});

test('a repeated packet id is answered as often as it was sent', () => {
  const order = new AckOrder();
  order.wait(ackKey(2, 7));
  order.wait(ackKey(2, 7));
  order.decide(ackKey(2, 7), 0);
  order.decide(ackKey(2, 7), 0x97);
  assert.deepEqual(drain(order), ['q2 7 0x0', 'q2 7 0x97']);
});

test('whatever the order of decisions, answers leave in the order of arrival and none is lost', () => {
  const scenario = fc
    .array(fc.record({ qos: fc.constantFrom(1 as const, 2 as const), known: fc.boolean(), reason: fc.integer({ min: 0, max: 0xa2 }) }), {
      maxLength: 200,
    })
    .chain((publishes) =>
      fc.record({
        publishes: fc.constant(publishes),
        decisions: fc.shuffledSubarray(
          publishes.flatMap((publish, i) => (publish.known ? [] : [i])),
          { minLength: publishes.filter((publish) => !publish.known).length },
        ),
        early: fc.nat(publishes.length),
      }),
    );
  fc.assert(
    fc.property(scenario, ({ publishes, decisions, early }) => {
      const order = new AckOrder();
      const left: string[] = [];
      const todo = [...decisions];
      publishes.forEach((publish, i) => {
        const key = ackKey(publish.qos, i + 1);
        if (publish.known) order.follow(key, publish.reason);
        else order.wait(key);
        if (i >= early) return;
        // Some decisions come while publishes still arrive.
        const next = todo.findIndex((index) => index <= i);
        if (next < 0) return;
        const [index] = todo.splice(next, 1);
        order.decide(ackKey(publishes[index!]!.qos, index! + 1), publishes[index!]!.reason);
        left.push(...drain(order));
      });
      for (const index of todo) {
        order.decide(ackKey(publishes[index]!.qos, index + 1), publishes[index]!.reason);
        left.push(...drain(order));
      }
      left.push(...drain(order));
      assert.deepEqual(
        left,
        publishes.map((publish, i) => `q${publish.qos} ${i + 1} 0x${publish.reason.toString(16)}`),
      );
    }),
  );
});

test('memory of a burst is given back', () => {
  const order = new AckOrder();
  for (let i = 1; i <= 1000; i++) order.wait(ackKey(1, i));
  for (let i = 1; i <= 1000; i++) order.decide(ackKey(1, i), 0);
  assert.equal(drain(order).length, 1000);
  order.shrink();
  order.follow(ackKey(1, 5), 0);
  assert.deepEqual(drain(order), ['q1 5 0x0']);
});
