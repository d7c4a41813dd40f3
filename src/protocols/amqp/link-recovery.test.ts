// Termini that outlive their links, and what is recovered with them, over the real broker.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestBroker } from '../../broker/testing/test-broker.ts';
import { acceptedState, type DeliveryState, releasedState, type Source, tagOfNumber } from './codec/index.ts';
import { LivePeer } from './testing/live-peer.ts';

const rejected = { type: 'rejected', error: { type: 'error', condition: 'com.example:bad', description: 'no good' } } as const;
const durable: Partial<Source> = { durable: 2, expiryPolicy: 'never' };

function latin1(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('latin1');
}

describe('a terminus that outlives its link', () => {
  it('keeps what comes while the peer is away, also over a restart', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const answer = peer.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
    assert.deepEqual([answer.source?.durable, answer.source?.expiryPolicy], [2, 'never']);
    peer.lose();
    const other = new LivePeer(test, 'other');
    other.sender(0, 'a');
    other.publish(0, 'one');
    const restarted = await test.restart();
    const again = new LivePeer(restarted);
    again.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
    assert.deepEqual(again.texts(), ['one']);
  });

  it('is gone with a link that is closed', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
    peer.detach(1, true);
    peer.sender(0, 'a');
    peer.publish(0, 'lost');
    peer.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
    assert.deepEqual(peer.texts(), []);
  });

  it('is a new one for another topic or selector', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
    peer.detach(1, false);
    peer.sender(0, 'a');
    peer.publish(0, 'for the old one');
    peer.receiver(1, { address: 'b', ...durable }, { name: 'sub' });
    peer.sender(2, 'b');
    peer.publish(2, 'for the new one');
    peer.publish(0, 'for nobody');
    assert.deepEqual(peer.texts(), ['for the new one']);
  });

  it('is ended as Qpid JMS does it: by an attach without source, and a close', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.receiver(1, { address: 'a', ...durable, capabilities: ['topic'], distributionMode: 'copy' }, { name: 'sub' });
    peer.detach(1, false);
    peer.heard();
    const found = peer.receiver(1, undefined, { name: 'sub' }, 0);
    assert.equal(found.source?.address, 'a');
    peer.detach(1, true);
    assert.equal(test.broker.space('main').sessions.has('$amqp/peer/out/sub'), false);
    assert.equal(peer.receiver(1, undefined, { name: 'sub' }, 0).source, undefined);
  });

  it('dies when its time is over', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const answer = peer.receiver(1, { address: 'a', expiryPolicy: 'link-detach', timeout: 10 }, { name: 'sub' });
    assert.equal(answer.source?.timeout, 10);
    peer.detach(1, false);
    const sessions = test.broker.space('main').sessions;
    test.advance(9000);
    assert.equal(sessions.has('$amqp/peer/out/sub'), true);
    test.advance(2000);
    assert.equal(sessions.has('$amqp/peer/out/sub'), false);
  });

  it('is stolen by an attach of the same name', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const thief = new LivePeer(test);
    peer.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
    thief.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
    peer.send();
    assert.deepEqual(
      peer.words().filter((each) => each.startsWith('detach')),
      ['detach 0 closed amqp:link:stolen'],
    );
  });
});

describe('link recovery', () => {
  /** A durable link on which two messages are unsettled, lost; and what the peer has of them. */
  async function lost(rcvSettleMode: 0 | 1, restarts = rcvSettleMode === 1) {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const source = { address: 'a', ...durable };
    peer.receiver(1, source, { name: 'sub', rcvSettleMode });
    peer.sender(0, 'a', { rcvSettleMode });
    peer.publish(0, 'one');
    peer.publish(0, 'two');
    const tags = peer.transfers().map(({ deliveryTag }) => latin1(deliveryTag));
    assert.equal(tags.length, 2);
    peer.lose();
    // Of what is delivered at least once the node knows nothing after a crash, and sends it again.
    return { test: restarts ? await test.restart() : test, source, tags };
  }

  for (const mode of [0, 1] as const) {
    it(`sends again what the peer does not know, and does not what it has accepted; settle mode ${mode}`, async () => {
      const { test, source, tags } = await lost(mode);
      const peer = new LivePeer(test);
      const answer = peer.receiver(1, source, { name: 'sub', rcvSettleMode: mode, unsettled: new Map([[tags[0]!, acceptedState]]) });
      assert.deepEqual([...(answer.unsettled?.keys() ?? [])], mode === 0 ? [tags[1]] : tags);
      const all = peer.transfers();
      const settled = all.find((each) => each.settled === true);
      assert.equal(settled !== undefined, mode === 1);
      if (settled !== undefined) {
        assert.deepEqual([settled.resume, settled.state, latin1(settled.deliveryTag)], [true, acceptedState, tags[0]]);
        assert.equal(settled.message.length, 0);
      }
      const transfers = all.filter((each) => each !== settled);
      assert.equal(transfers.length, 1);
      assert.deepEqual([latin1(transfers[0]!.deliveryTag), transfers[0]!.resume ?? false], [tags[1], false]);
      peer.settle(transfers[0]!.deliveryId!, acceptedState, mode === 0);
      peer.lose();
      const third = new LivePeer(test);
      third.receiver(1, source, { name: 'sub', rcvSettleMode: mode });
      assert.deepEqual(third.texts(), []);
    });

    it(`resumes what the peer has, but has no outcome for; settle mode ${mode}`, async () => {
      const { test, source, tags } = await lost(mode);
      const peer = new LivePeer(test);
      peer.receiver(1, source, { name: 'sub', rcvSettleMode: mode, unsettled: new Map([[tags[1]!, undefined]]) });
      const transfers = peer.transfers();
      assert.deepEqual(
        transfers.map(({ deliveryTag, resume }) => [latin1(deliveryTag), resume ?? false]),
        [
          [tags[0], false],
          [tags[1], true],
        ],
      );
      assert.deepEqual(transfers[1]!.state, { type: 'received', sectionNumber: 0, sectionOffset: 0n });
      assert.ok(transfers[1]!.message.toString('latin1').endsWith('two'));
    });
  }

  it('takes every outcome that the peer comes back with', async () => {
    const { test, source, tags } = await lost(0);
    const peer = new LivePeer(test);
    const unsettled = new Map<string, DeliveryState>([
      [tags[0]!, rejected],
      [tags[1]!, releasedState],
    ]);
    const answer = peer.receiver(1, source, { name: 'sub', unsettled });
    assert.equal(answer.unsettled, undefined);
    assert.deepEqual(peer.texts(), ['two']);
    const dead = new LivePeer(test, 'other');
    dead.receiver(1, '$queue/dead-letter');
    assert.equal(dead.transfers().length, 1);
  });

  it('does not go on with exactly once where the peer has not told all', async () => {
    const { test, source, tags } = await lost(1);
    const peer = new LivePeer(test);
    const unsettled = new Map([[tags[0]!, acceptedState]]);
    peer.receiver(1, source, { name: 'sub', rcvSettleMode: 1, unsettled, incompleteUnsettled: true }, 0);
    assert.ok(peer.words().some((each) => each === 'detach 0'));
  });

  it('names deliveries by the smallest bytes of their position', () => {
    assert.equal(tagOfNumber(1), '\u0001');
    assert.equal(tagOfNumber(256), '\u0001\0');
  });
});
