// Links on which the peer receives, over the real broker, on a journal in memory that a test moves by hand.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowAll, TestBroker } from '../../broker/testing/test-broker.ts';
import { acceptedState, type AmqpValue, releasedState, SenderSettleMode, type Source } from './codec/index.ts';
import { LivePeer } from './testing/live-peer.ts';

const rejected = { type: 'rejected', error: { type: 'error', condition: 'com.example:bad', description: 'no good' } } as const;
const failed = { type: 'modified', deliveryFailed: true } as const;
const durable: Partial<Source> = { durable: 2, expiryPolicy: 'never' };

function selector(text: string): AmqpValue {
  return { type: 'described', descriptor: { type: 'ulong', value: 0x0000_468c_0000_0004n }, value: { type: 'string', value: text } };
}

describe('a receiving link', () => {
  it('gets what is published to its topic', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const answer = peer.receiver(1, 'a/+');
    assert.equal(answer.source?.address, 'a/+');
    assert.deepEqual(answer.source?.capabilities, ['topic']);
    peer.sender(0, 'a/b');
    peer.publish(0, 'one');
    peer.publish(0, 'two', true);
    const transfers = peer.transfers();
    assert.deepEqual(
      transfers.map(({ deliveryId, settled }) => [deliveryId, settled]),
      [
        [0, false],
        [1, true],
      ],
    );
    peer.settle(0, acceptedState, false);
    assert.deepEqual(peer.words(), ['sender 0 settled accepted']);
    assert.equal(test.failed, undefined);
  });

  it('gets no more than its credit, then the rest in order', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.receiver(1, '$queue/q', {}, 2);
    peer.sender(0, 'queue:q');
    for (const text of ['a', 'b', 'c', 'd', 'e']) peer.publish(0, text);
    assert.deepEqual(peer.texts(), ['a', 'b']);
    peer.credit(1, 2, { deliveryCount: 2 });
    assert.deepEqual(peer.texts(), ['c', 'd']);
    // A flow that was on its way: it knows of three only, and grants two from there.
    peer.credit(1, 2, { deliveryCount: 3 });
    assert.deepEqual(peer.texts(), ['e']);
  });

  it('gives its credit back when it is drained', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.receiver(1, '$queue/q', {}, 0);
    peer.sender(0, 'queue:q');
    peer.publish(0, 'a');
    peer.heard();
    peer.credit(1, 10, { drain: true });
    const heard = peer.heard();
    assert.deepEqual(
      heard.map(({ type }) => type),
      ['transfer', 'flow'],
    );
    const flow = heard[1] as Extract<(typeof heard)[number], { type: 'flow' }>;
    assert.deepEqual([flow.deliveryCount, flow.linkCredit, flow.drain], [10, 0, true]);
    peer.publish(0, 'b');
    assert.deepEqual(peer.texts(), []);
    peer.credit(1, 1, { deliveryCount: 10 });
    assert.deepEqual(peer.texts(), ['b']);
  });

  it('answers an echo', async () => {
    const peer = new LivePeer(await TestBroker.start());
    peer.receiver(1, 'a', {}, 0);
    peer.credit(1, 7, { echo: true });
    assert.deepEqual(peer.words(), ['flow 0 count=0 credit=7']);
  });

  it('keeps at most once what waits for credit', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.receiver(1, 'a', {}, 1);
    peer.sender(0, 'a');
    for (const text of ['a', 'b', 'c']) peer.publish(0, text, true);
    assert.deepEqual(peer.texts(), ['a']);
    peer.credit(1, 5, { deliveryCount: 1 });
    assert.deepEqual(peer.texts(), ['b', 'c']);
  });

  it('sends everything settled, or everything unsettled, if it is asked to', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.receiver(1, 'a', { sndSettleMode: SenderSettleMode.settled });
    peer.receiver(2, 'a', { sndSettleMode: SenderSettleMode.unsettled });
    peer.sender(0, 'a');
    peer.publish(0, 'x', true);
    const byHandle = () => Object.fromEntries(peer.transfers().map(({ handle, settled }) => [handle, settled]));
    assert.deepEqual(byHandle(), { 0: true, 1: false });
    peer.publish(0, 'x', false);
    assert.deepEqual(byHandle(), { 0: true, 1: false });
    peer.settle(1, acceptedState, false);
    assert.deepEqual(peer.words(), ['sender 1 settled accepted']);
  });

  it('tells by outcomes what becomes of messages of a queue', async () => {
    const test = await TestBroker.start({ limits: { maxDeliveries: 2 } });
    const peer = new LivePeer(test);
    peer.receiver(1, '$queue/q', {}, 1);
    peer.receiver(2, '$queue/dead-letter');
    peer.sender(0, 'queue:q');
    peer.publish(0, 'a');
    assert.deepEqual(peer.texts(), ['a']);
    peer.settle(0, releasedState);
    peer.credit(1, 1, { deliveryCount: 1 });
    const [again] = peer.transfers();
    assert.ok(again!.message.length > 0);
    peer.settle(1, failed);
    peer.credit(1, 1, { deliveryCount: 2 });
    assert.equal(peer.transfers().length, 1);
    peer.settle(2, failed);
    // The second failure is one too many.
    const [dead] = peer.transfers();
    assert.equal(dead!.handle, 1);
    assert.ok(dead!.message.includes('delivery-limit'));
    peer.publish(0, 'b');
    peer.credit(1, 1, { deliveryCount: 3 });
    peer.transfers();
    peer.settle(4, rejected);
    const [refused] = peer.transfers();
    assert.equal(refused!.handle, 1);
    assert.ok(refused!.message.includes('com.example:bad') && refused!.message.includes('no good'));
  });

  it('is settled exactly once where the peer settles second', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const answer = peer.receiver(1, { address: 'a', ...durable }, { rcvSettleMode: 1 });
    assert.equal(answer.rcvSettleMode, 1);
    peer.sender(0, 'a', { rcvSettleMode: 1 });
    peer.publish(0, 'x');
    assert.equal(peer.transfers().length, 1);
    peer.settle(0, acceptedState, false);
    assert.deepEqual(peer.words(), ['sender 0 settled accepted']);
    peer.settle(0, acceptedState, true);
    assert.equal(test.broker.counters?.['strayAcks' as never] ?? 0, 0);
  });

  it('is refused for what cannot be', async () => {
    const peer = new LivePeer(await TestBroker.start());
    const conditionOf = (source: Partial<Source> | undefined) => {
      const answer = peer.receiver(9, source, {}, 0);
      assert.equal(answer.source, undefined);
      const detach = peer.heard().find((each) => each.type === 'detach');
      peer.detach(9, true);
      peer.heard();
      return detach?.error?.condition;
    };
    assert.equal(conditionOf({ address: 'a/#/b' }), 'amqp:invalid-field');
    assert.equal(conditionOf({}), 'amqp:invalid-field');
    assert.equal(conditionOf({ address: 'a', filter: new Map([['s', selector('a = ')]]) }), 'amqp:invalid-field');
    assert.equal(conditionOf(undefined), 'amqp:not-found');
  });

  it('hears where its selector cannot be read', async () => {
    const peer = new LivePeer(await TestBroker.start());
    peer.receiver(0, { address: 'a', filter: new Map([['s', selector('a = ')]]) }, {}, 0);
    const detach = peer.heard().find((each) => each.type === 'detach');
    assert.match(detach?.error?.description ?? '', /at character 5: .+ is needed here, not the end/);
  });

  it('shows those of its filters that are honoured', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const filter = new Map<string, AmqpValue>([
      ['s', selector("colour = 'red'")],
      ['unknown', { type: 'string', value: 'x' }],
    ]);
    const answer = peer.receiver(1, { address: 'a', filter });
    assert.deepEqual([...answer.source!.filter!.keys()], ['s']);
    peer.sender(0, 'a');
    const message = (colour: string) =>
      Buffer.concat([
        Buffer.from([0, 0x53, 0x74, 0xc1, 11 + colour.length, 2, 0xa1, 6]),
        Buffer.from('colour'),
        Buffer.from([0xa1, colour.length]),
        Buffer.from(colour),
        Buffer.from([0, 0x53, 0x75, 0xa0, 1, 0x78]),
      ]);
    peer.publishMessage(0, message('red'));
    peer.publishMessage(0, message('blue'));
    assert.equal(peer.transfers().length, 1);
  });

  it('does not get what its own connection sends, if it says so', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const other = new LivePeer(test, 'other');
    const noLocal: AmqpValue = {
      type: 'described',
      descriptor: { type: 'ulong', value: 0x0000_468c_0000_0003n },
      value: { type: 'string', value: 'NoLocalFilter{}' },
    };
    peer.receiver(1, { address: 'a', filter: new Map([['no-local', noLocal]]) });
    peer.sender(0, 'a');
    other.sender(0, 'a');
    peer.publish(0, 'mine');
    other.publish(0, 'yours');
    peer.send();
    assert.deepEqual(peer.texts(), ['yours']);
  });

  it('sends a large message in as many frames as it takes, as the window opens', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test, 'peer', { window: 3, maxFrameSize: 512 });
    const other = new LivePeer(test, 'other');
    peer.receiver(1, 'a');
    other.sender(0, 'a');
    const text = 'x'.repeat(3000);
    other.publish(0, text);
    peer.send();
    const first = peer.transfers();
    // The flow with the credit has said that there is room for 1000: the window of the begin is no more.
    assert.ok(first.length > 5);
    assert.ok(first.every(({ more }, i) => more === i < first.length - 1));
    assert.ok(
      Buffer.concat(first.map(({ message }) => message))
        .toString('latin1')
        .endsWith(text),
    );
    peer.credit(1, 100, { deliveryCount: 1, incomingWindow: 2 });
    other.publish(0, text);
    peer.send();
    const parts = peer.transfers();
    assert.equal(parts.length, 2);
    peer.credit(1, 100, { deliveryCount: 1, incomingWindow: 100 });
    parts.push(...peer.transfers());
    assert.equal(parts.length, first.length);
    assert.equal(parts.at(-1)!.more, false);
  });

  it('drops what is larger than the peer takes', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.receiver(1, 'a', { maxMessageSize: 50n });
    peer.sender(0, 'a');
    peer.publish(0, 'x'.repeat(60));
    peer.publish(0, 'small');
    assert.deepEqual(peer.texts(), ['small']);
    assert.equal(peer.dialogue.server.counters.dropped['message too large'], 1);
  });
});

describe('a live cut', () => {
  it('detaches what its principal may not receive from any more, and nothing else', async () => {
    let forbidden = '';
    const security = { ...allowAll, allows: (_principal: unknown, _action: string, topic: string) => topic !== forbidden };
    const test = await TestBroker.start({ security });
    const peer = new LivePeer(test);
    peer.receiver(1, { address: 'a', ...durable }, { name: 'cut' });
    peer.receiver(2, 'b');
    forbidden = 'a';
    const { sessions } = test.broker.space('main');
    for (const session of [...sessions.values()]) session.reviewed(session.principal);
    peer.send();
    assert.deepEqual(
      peer.words().filter((words) => words.startsWith('detach')),
      ['detach 0 closed amqp:unauthorized-access'],
    );
    assert.equal(sessions.has('$amqp/peer/out/cut'), false);
    assert.equal(sessions.has('$amqp/peer/out/r2'), true);
  });
});

describe('consumers of one subscription', () => {
  it('share it as JMS 2.0 consumers of Qpid JMS do, durable or not, and end it by name', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test, 'generated-id');
    const source = { address: 'a', ...durable, capabilities: ['topic', 'shared', 'global'], distributionMode: 'copy' };
    const first = peer.receiver(1, source, { name: 'sub|global', desiredCapabilities: ['SHARED-SUBS'] });
    assert.deepEqual(first.offeredCapabilities, ['SHARED-SUBS']);
    peer.receiver(2, source, { name: 'sub|global2', desiredCapabilities: ['SHARED-SUBS'] });
    peer.sender(0, 'a');
    for (let i = 0; i < 4; i++) peer.publish(0, `${i}`);
    const handles = peer.transfers().map(({ handle }) => handle);
    assert.deepEqual(handles.toSorted(), [0, 0, 1, 1]);
    peer.settle(0, acceptedState, true, 3);
    peer.detach(1, false);
    peer.detach(2, false);
    peer.publish(0, 'while away');
    peer.heard();
    const other = new LivePeer(test, 'another-id');
    other.receiver(1, source, { name: 'sub|global' });
    assert.deepEqual(other.texts(), ['while away']);
    other.detach(1, false);
    // Session.unsubscribe('sub') of Qpid JMS.
    const found = other.receiver(1, undefined, { name: 'sub|global', desiredCapabilities: ['shared', 'global'] }, 0);
    assert.equal(found.source?.address, '$share/sub/a');
    other.detach(1, true);
    assert.equal(test.broker.space('main').shared.size, 0);
    assert.equal(other.receiver(1, undefined, { name: 'sub|global', desiredCapabilities: ['shared', 'global'] }, 0).source, undefined);
  });

  it('have the name to themselves with a client id', async () => {
    const test = await TestBroker.start();
    const source = { address: 'a', capabilities: ['topic', 'shared'], expiryPolicy: 'link-detach' };
    const one = new LivePeer(test, 'client-1');
    const two = new LivePeer(test, 'client-2');
    one.receiver(1, source, { name: 'sub|volatile1' });
    two.receiver(1, source, { name: 'sub|volatile1' });
    one.sender(0, 'a');
    one.publish(0, 'for both');
    two.send();
    assert.deepEqual([one.texts(), two.texts()], [['for both'], ['for both']]);
  });

  it('have a queue to themselves if they ask for it', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const properties = new Map([['heliograph:exclusive', { type: 'boolean', value: true } as const]]);
    const answer = peer.receiver(1, '$queue/q', { properties });
    assert.deepEqual(answer.properties, properties);
    assert.equal(peer.receiver(2, '$queue/q', {}, 0).source, undefined);
    assert.ok(peer.words().includes('detach 1 closed amqp:resource-locked'));
  });
});

describe('other nodes', () => {
  it('are looked through by browsers, who take nothing', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.sender(0, 'q', { target: { type: 'target', address: 'q', capabilities: ['queue'] } });
    peer.publish(0, 'a');
    peer.publish(0, 'b');
    const source = { address: 'q', capabilities: ['queue'], distributionMode: 'copy' };
    const answer = peer.receiver(1, source, { sndSettleMode: SenderSettleMode.settled }, 0);
    assert.equal(answer.source?.distributionMode, 'copy');
    peer.heard();
    peer.credit(1, 10, { drain: true });
    const heard = peer.heard();
    assert.deepEqual(
      heard.map(({ type }) => type),
      ['transfer', 'transfer', 'flow'],
    );
    peer.detach(1, true);
    peer.receiver(2, '$queue/q');
    assert.deepEqual(peer.texts(), ['a', 'b']);
  });

  it('are made for the link, and go with it', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const answer = peer.receiver(1, { dynamic: true });
    const { address } = answer.source!;
    assert.match(address!, /^queue:/);
    assert.deepEqual(answer.source!.capabilities, ['temporary-queue']);
    const other = new LivePeer(test, 'other');
    other.sender(0, address);
    other.publish(0, 'reply');
    peer.send();
    assert.deepEqual(peer.texts(), ['reply']);
    peer.detach(1, true);
    assert.equal(test.broker.space('main').named.size, 0);
  });

  it('are topics where that is asked for: other links get each message, too', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    const { source } = peer.receiver(1, { dynamic: true, capabilities: ['temporary-topic'] });
    assert.deepEqual([source!.capabilities, source!.distributionMode], [['temporary-topic'], 'copy']);
    peer.receiver(2, { address: source!.address!, capabilities: ['temporary-topic'] }, { name: 'another' });
    peer.sender(0, source!.address!);
    peer.publish(0, 'news');
    assert.deepEqual(peer.texts(), ['news', 'news']);
    peer.detach(1, true);
    peer.heard();
    peer.say({ type: 'detach', handle: 0, closed: true });
    assert.equal(test.broker.space('main').temporary.topics, 0);
  });

  it('show their last values to who asks for them', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.sender(0, 'a/b');
    const retain = Buffer.concat([Buffer.from([0, 0x53, 0x72, 0xc1, 16, 2, 0xa3, 12]), Buffer.from('x-opt-retain'), Buffer.from([0x41])]);
    peer.publishMessage(0, Buffer.concat([retain, Buffer.from([0, 0x53, 0x75, 0xa0, 4]), Buffer.from('last')]));
    peer.heard();
    peer.receiver(1, 'a/b');
    assert.deepEqual(peer.texts(), []);
    for (const value of [
      { type: 'boolean', value: true },
      { type: 'string', value: 'first' },
    ] as const) {
      const filter = new Map<string, AmqpValue>([['heliograph:retained', value]]);
      peer.receiver(2, { address: 'a/+', filter });
      const [last] = peer.transfers();
      assert.ok(last!.message.toString('latin1').endsWith('last'));
      peer.detach(2, true);
      peer.heard();
    }
  });
});
