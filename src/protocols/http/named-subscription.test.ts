import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBooks } from '../../broker/testing/test-broker.ts';
import { HttpTest } from './testing/fake-exchange.ts';

describe('a named subscription to what others take from, too', () => {
  const target = (...filters: string[]): string =>
    `/v1/topics?subscription=s${filters.map((filter) => `&filter=${encodeURIComponent(filter)}`).join('')}`;

  for (const [one, other] of [
    ['$queue/q1', '$queue/q2'],
    ['$share/g/a', '$share/g/b'],
    ['a', '$queue/q2'],
  ] as const) {
    it(`never takes the id of an event of ${one} for one of ${other}`, async () => {
      const t = await HttpTest.start();
      const publisher = t.broker.connect('publisher');
      const peer = t.connect();
      const first = peer.stream(target(one, other)).streamed!;
      publisher.publish(one.replace('$share/g/', ''), '1');
      publisher.publish(other.replace('$share/g/', ''), '2');
      assert.deepEqual(first.payloads, ['1', '2']);
      peer.close();
      const second = t.connect().stream(target(one, other), { 'Last-Event-ID': first.events[0]!.id! }).streamed!;
      assert.deepEqual(second.payloads, ['2']);
      assertBooks(t.broker);
    });
  }

  it('goes on with the messages of a queue after a crash', async () => {
    const t = await HttpTest.start();
    const publisher = t.broker.connect('publisher');
    const first = t.connect().stream(target('$queue/q1', '$queue/q2')).streamed!;
    for (const payload of ['1', '2', '3']) publisher.publish('$queue/q1', payload);
    for (const payload of ['a', 'b', 'c']) publisher.publish('$queue/q2', payload);
    assert.equal(first.payloads.length, 6);
    const after = await t.restart();
    const seen = first.events[3]!;
    assert.equal(seen.data['payload'], 'a');
    const second = after.connect().stream(target('$queue/q1', '$queue/q2'), { 'Last-Event-ID': seen.id! }).streamed!;
    assert.deepEqual(second.payloads.toSorted(), ['b', 'c']);
  });

  it('is not ended because two queues take turns', async () => {
    const t = await HttpTest.start({ http: { subscriptionWindow: 1000 } });
    const publisher = t.broker.connect('publisher');
    const { streamed } = t.connect().stream(target('$queue/q1', '$queue/q2'));
    for (let i = 0; i < 100; i++) for (const queue of ['q1', 'q2']) publisher.publish(`$queue/${queue}`, String(i));
    assert.equal(streamed!.payloads.length, 200);
    assert.equal(streamed!.ended, undefined);
  });
});
