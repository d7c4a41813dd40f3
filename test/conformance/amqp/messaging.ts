// Messages, outcomes, sources and targets (part 3).

import assert from 'node:assert/strict';
import { TestBroker } from '../../../src/broker/testing/test-broker.ts';
import {
  acceptedState,
  type AmqpOutcome,
  type AmqpValue,
  type DeliveryState,
  lifetimePolicyValue,
  releasedState,
  type Source,
} from '../../../src/protocols/amqp/codec/index.ts';
import { LivePeer } from '../../../src/protocols/amqp/testing/live-peer.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { conforms } from './conforms.ts';
import { data, deliveryCountOf, header, listSection } from './messages.ts';
import { endsOf, latin1, meet } from './scene.ts';

const bytes = (...parts: readonly (readonly number[])[]): Uint8Array => new Uint8Array(parts.flat());
const symbol = (text: string): number[] => [0xa3, text.length, ...Buffer.from(text)];
const annotations = (code: number, key: string): number[] => {
  const items = [...symbol(key), 0xa1, 1, 0x76];
  return [0, 0x53, code, 0xc1, items.length + 1, 2, ...items];
};
const mark = annotations(0x72, 'x-opt-mark');
/** In widths that nobody would choose. */
const properties = [0, 0x53, 0x73, 0xd0, 0, 0, 0, 9, 0, 0, 0, 1, 0xa1, 3, 0x61, 0x62, 0x63];
const application = [0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x74, 0xd1, 0, 0, 0, 12, 0, 0, 0, 2, 0xa1, 1, 0x6b, 0x71, 0, 0, 0, 7];
const footer = annotations(0x78, 'x-opt-sum');

async function queue(source: Partial<Source> = {}, more = {}) {
  const { test, peer } = await meet({}, more);
  peer.receiver(1, { address: '$queue/q', ...source }, {}, 0);
  peer.sender(0, 'queue:q');
  /** The next one that there is credit for. */
  let count = 0;
  const next = () => {
    peer.heard();
    peer.credit(1, 1, { deliveryCount: count });
    const [got, ...rest] = peer.transfers();
    assert.equal(rest.length, 0);
    if (got !== undefined) count++;
    return got;
  };
  return { test, peer, next };
}

conforms(
  '3.2-1 3.2.3-1',
  'a bare message goes on byte for byte, in its own encoding, with its message annotations and footer',
  async () => {
    const bodies = [
      data('one'),
      [...data('one'), ...data('two')],
      [0, 0x53, 0x77, 0xb1, 0, 0, 0, 1, 0x78],
      [0, 0x53, 0x77, 0x40],
      [0, 0x53, 0x76, 0x45, 0, 0x53, 0x76, 0xc0, 2, 1, 0x41],
      [0, 0x53, 0x75, 0xb0, 0, 0, 0, 2, 0x68, 0x69],
    ];
    for (const body of bodies) {
      for (const head of [[], properties, application, [...properties, ...application]]) {
        const { peer } = await meet();
        peer.receiver(1, 'a');
        peer.sender(0, 'a');
        peer.publishMessage(0, bytes(header({}), mark, head, body, footer));
        const [got] = peer.transfers();
        const text = latin1(got?.message);
        assert.ok(text.includes('x-opt-mark'));
        assert.ok(text.endsWith(latin1(bytes(head, body, footer))), text);
      }
    }
  },
);

conforms('3.2-2', 'a message that cannot be read is rejected, and the link goes on', async () => {
  const { peer } = await meet();
  peer.sender(0, 'a');
  const wrong = [
    [1, 2, 3],
    [0, 0x53, 0x79, 0x45],
    [...data('x'), ...header({})],
    [...data('x'), 0, 0x53, 0x77, 0x40],
  ];
  for (const message of wrong) {
    peer.publishMessage(0, bytes(message));
    assert.match(peer.words()[0] ?? '', /^receiver \d+ settled rejected amqp:/);
  }
});

conforms('3.2.1-1 3.2.1-3', 'without header the priority is 4; there are ten, and what is above them is the highest', async () => {
  const { peer, next } = await queue();
  for (const priority of [3, -1, 5, 200, 9, 0]) {
    peer.publishMessage(0, bytes(priority === -1 ? [] : header({ priority }), data(`p${priority}`)));
  }
  const order = Array.from({ length: 6 }, () => latin1(next()?.message.subarray(-4)).replace(/.*p/s, ''));
  assert.deepEqual(order, ['200', '9', '5', '-1', '3', '0']);
});

conforms('3.2.1-2', 'a durable message outlives the node', async () => {
  const { test, peer } = await queue();
  peer.publishMessage(0, bytes(header({ durable: true }), data('kept')));
  assert.deepEqual(peer.words(), ['receiver 0 settled accepted']);
  const again = new LivePeer(await test.restart());
  again.receiver(1, '$queue/q');
  const [got] = again.transfers();
  assert.ok(got!.message.includes('kept'));
  assert.deepEqual([...got!.message.subarray(2, 4)], [0x70, 0xc0]);
  assert.equal(got!.message[6], 0x41);
});

conforms('3.2.1-4', 'a message is not delivered when its time to live is over, and the rest of it is told', async () => {
  const { test, peer, next } = await queue();
  peer.publishMessage(0, bytes(header({ ttl: 5000 }), data('short')));
  peer.publishMessage(0, bytes(header({ ttl: 50_000 }), data('long')));
  test.advance(10_000);
  const got = next();
  assert.ok(got!.message.includes('long'));
  assert.ok(got!.message.includes(Buffer.from([0x70, 0, 0, 40_000 >> 8, 40_000 & 0xff])), got!.message.toString('hex'));
});

conforms(
  '3.2.1-5 3.4.4-1 3.4.5-1',
  'delivery-count counts deliveries that have failed: modified as failed or lost with the link, and not those that were released',
  async () => {
    const { test, peer, next } = await queue();
    peer.publish(0, 'x');
    const outcomes: [AmqpOutcome, number][] = [
      [releasedState, 0],
      [{ type: 'modified', deliveryFailed: true }, 1],
      [releasedState, 1],
      [{ type: 'modified' }, 1],
      [{ type: 'modified', deliveryFailed: true }, 2],
    ];
    assert.equal(deliveryCountOf(next()!.message), 0);
    for (const [i, [outcome, expected]] of outcomes.entries()) {
      peer.settle(i, outcome);
      assert.equal(deliveryCountOf(next()!.message), expected, `${i}`);
    }
    peer.lose();
    const again = new LivePeer(test);
    again.receiver(1, '$queue/q');
    assert.equal(deliveryCountOf(again.transfers()[0]!.message), 3);
  },
);

conforms('3.2.2-1', 'delivery annotations are for one hop: they do not go on', async () => {
  const { peer } = await meet();
  peer.receiver(1, 'a');
  peer.sender(0, 'a');
  peer.publishMessage(0, bytes(annotations(0x71, 'x-opt-hop'), data('x')));
  assert.ok(!peer.transfers()[0]!.message.includes('x-opt-hop'));
});

conforms('3.4.1-1', 'how far a delivery has come is told in the first frame of a resumed one only', async () => {
  const { peer } = await meet({ maxFrameSize: 512 });
  peer.receiver(1, { address: 'a', durable: 2, expiryPolicy: 'never' }, { name: 'sub' });
  peer.sender(0, 'a');
  peer.publish(0, 'x'.repeat(1500));
  const fresh = peer.transfers();
  assert.ok(fresh.length > 2 && fresh.every((each) => each.state === undefined));
});

conforms('3.4.2-1', 'what is accepted is gone', async () => {
  const { peer, next } = await queue();
  peer.publish(0, 'x');
  next();
  peer.settle(0, acceptedState);
  assert.equal(next(), undefined);
});

conforms('3.4.3-1', 'what is rejected is not delivered again, and its error goes with it to where the dead are', async () => {
  const { peer, next } = await queue();
  peer.receiver(2, '$queue/dead-letter');
  peer.publish(0, 'x');
  next();
  peer.settle(0, { type: 'rejected', error: { type: 'error', condition: 'com.example:bad' } });
  const [dead] = peer.transfers();
  assert.ok(dead!.message.includes('com.example:bad'));
  peer.settle(1, acceptedState);
  assert.equal(next(), undefined);
});

conforms('3.4.5-2', 'what is undeliverable here does not come to the same link again, but to another one', async () => {
  const { peer, next } = await queue();
  peer.receiver(5, '$queue/q', {}, 0);
  peer.publish(0, 'x');
  next();
  peer.settle(0, { type: 'modified', undeliverableHere: true });
  assert.equal(next(), undefined);
  peer.credit(5, 1);
  assert.equal(peer.transfers().length, 1);
});

conforms('3.4.5-3', 'annotations of modified are added to those of the message, and replace their own', async () => {
  const { peer, next } = await queue();
  peer.publishMessage(0, bytes(mark, data('x')));
  next();
  const messageAnnotations = new Map<string, AmqpValue>([
    ['x-opt-mark', { type: 'string', value: 'changed' }],
    ['x-opt-more', { type: 'string', value: 'added' }],
  ]);
  peer.settle(0, { type: 'modified', messageAnnotations });
  const text = latin1(next()?.message);
  assert.ok(text.includes('changed') && text.includes('added') && text.split('x-opt-mark').length === 2, text);
});

conforms('3.5.3-1 3.5.4-1', 'a dynamic node must not be asked for with an address', async () => {
  const { peer } = await meet();
  assert.equal(peer.receiver(1, { address: 'a', dynamic: true }, {}, 0).source, undefined);
  peer.say(frames.senderAttach({ handle: 2, target: { type: 'target', address: 'a', dynamic: true } }));
  const words = peer.words();
  assert.deepEqual(endsOf(words), ['detach 0 closed amqp:invalid-field', 'detach 1 closed amqp:invalid-field']);
});

conforms('3.5.3-2 3.5.4-2 3.5.9-1', 'the address of a dynamic node is told, good for others, and of no other node', async () => {
  const { test, peer } = await meet();
  const source = peer.receiver(1, { dynamic: true }).source!;
  assert.equal(source.dynamic, true);
  peer.say(frames.senderAttach({ handle: 2, target: { type: 'target', dynamic: true } }));
  const attach = peer.heard().find((each) => each.type === 'attach');
  assert.ok(attach?.type === 'attach' && attach.target?.type === 'target' && attach.target.dynamic === true);
  assert.notEqual(source.address, attach.target.address);
  const other = new LivePeer(test, 'other');
  other.sender(0, source.address);
  other.publish(0, 'hello');
  peer.send();
  assert.deepEqual(peer.texts(), ['hello']);
});

conforms('3.5.10-1', 'a node that is to be deleted on close goes with the link that made it', async () => {
  for (const policy of [undefined, 'delete-on-close'] as const) {
    const { test, peer } = await meet();
    const dynamicNodeProperties = policy && new Map([['lifetime-policy', lifetimePolicyValue(policy)]]);
    const { address } = peer.receiver(1, { dynamic: true, dynamicNodeProperties }).source!;
    peer.detach(1, true);
    const other = new LivePeer(test, 'other');
    other.say(frames.senderAttach({ target: { type: 'target', address } }));
    other.publish(0, 'to nobody');
    assert.equal(test.broker.space('main').named.size, 0);
  }
});

conforms('3.5.3-3', 'a source tells its distribution mode, outcomes, default outcome and the filters that are in place', async () => {
  const { peer } = await meet();
  const filter = new Map<string, AmqpValue>([['unknown', { type: 'string', value: 'x' }]]);
  const topic = peer.receiver(1, { address: 'a', filter }).source!;
  const moved = peer.receiver(2, '$queue/q').source!;
  const copied = peer.receiver(3, { address: '$queue/q', distributionMode: 'copy' }).source!;
  assert.deepEqual([topic.distributionMode, moved.distributionMode, copied.distributionMode], ['copy', 'move', 'copy']);
  assert.equal(topic.filter?.size ?? 0, 0);
  assert.ok(topic.outcomes!.includes('amqp:accepted:list') && topic.outcomes!.every((each) => /^amqp:[a-z]+:list$/.test(each)));
  assert.ok(topic.defaultOutcome !== undefined);
});

conforms('3.5.3-4', 'a delivery that is settled without state has the default outcome of its source', async () => {
  const cases: [AmqpOutcome | undefined, (number | undefined)[]][] = [
    [acceptedState, [undefined]],
    [releasedState, [0]],
    [{ type: 'modified', deliveryFailed: true }, [1]],
    [{ type: 'rejected' }, [undefined]],
  ];
  for (const [defaultOutcome, expected] of cases) {
    const { peer, next } = await queue(defaultOutcome === undefined ? {} : { defaultOutcome });
    peer.publish(0, 'x');
    next();
    peer.settle(0, undefined, true);
    const again = next();
    assert.deepEqual([again && deliveryCountOf(again.message)], expected);
  }
});

conforms('3.5.3-5', 'what is unsettled when a source is destroyed has its default outcome', async () => {
  const cases: [AmqpOutcome | undefined, number[]][] = [
    [releasedState, [0]],
    [{ type: 'modified', deliveryFailed: true }, [1]],
    [undefined, [1]],
    [acceptedState, []],
  ];
  for (const [defaultOutcome, expected] of cases) {
    for (const how of ['close', 'detach', 'lose'] as const) {
      const { test, peer, next } = await queue(defaultOutcome === undefined ? {} : { defaultOutcome });
      peer.publish(0, 'x');
      next();
      if (how === 'lose') peer.lose();
      else peer.detach(1, how === 'close');
      const other = new LivePeer(test, 'other');
      other.receiver(1, '$queue/q');
      assert.deepEqual(
        other.transfers().map(({ message }) => deliveryCountOf(message)),
        expected,
        how,
      );
    }
  }
});

conforms('3.5.6-1 3.5.5-1', 'a terminus lives as long after its link as it was told', async () => {
  for (const expiryPolicy of ['link-detach', 'session-end', 'connection-close', 'never'] as const) {
    const { test, peer } = await meet();
    const source = { address: 'a', durable: 2, expiryPolicy, timeout: 60 } as const;
    const granted = peer.receiver(1, source, { name: 'sub' }).source!;
    assert.equal(granted.expiryPolicy, expiryPolicy);
    peer.sender(0, 'a');
    peer.detach(1, false);
    peer.publish(0, 'kept');
    peer.lose();
    test.advance(59_000);
    const again = new LivePeer(test);
    again.receiver(1, source, { name: 'sub' });
    assert.deepEqual(again.texts(), ['kept']);
    again.detach(1, false);
    test.advance(61_000);
    const { sessions } = test.broker.space('main');
    assert.equal(sessions.has('$amqp/peer/out/sub'), expiryPolicy !== 'link-detach', expiryPolicy);
    // Its time begins when its session, or its connection, is over.
    again.say({ type: 'end' });
    test.advance(61_000);
    assert.equal(sessions.has('$amqp/peer/out/sub'), expiryPolicy === 'connection-close' || expiryPolicy === 'never', expiryPolicy);
    again.lose();
    test.advance(61_000);
    assert.equal(sessions.has('$amqp/peer/out/sub'), expiryPolicy === 'never', expiryPolicy);
  }
});

conforms('3.5.6-1', 'a terminus that is not timed is there as long as its session, or its connection', async () => {
  for (const expiryPolicy of ['session-end', 'connection-close'] as const) {
    const { test, peer } = await meet();
    const source = { address: 'a', expiryPolicy } as const;
    const name = '$amqp/peer/out/sub';
    const { sessions } = test.broker.space('main');
    peer.receiver(1, source, { name: 'sub' });
    peer.sender(0, 'a');
    peer.detach(1, false);
    peer.publish(0, 'kept');
    peer.heard();
    peer.receiver(1, source, { name: 'sub' });
    assert.deepEqual(peer.texts(), ['kept'], expiryPolicy);
    peer.detach(1, true);
    assert.equal(sessions.has(name), false);
    peer.receiver(1, source, { name: 'sub' });
    peer.say({ type: 'end' });
    assert.equal(sessions.has(name), expiryPolicy === 'connection-close');
    peer.lose();
    assert.equal(sessions.has(name), false);
  }
});

conforms('3.5.6-1', 'what a link had unsettled when it was detached comes again when it is back in its session', async () => {
  for (const maxBytes of [1_000_000, 1]) {
    const test = await TestBroker.start({ limits: { transientInbox: { maxMessages: 1000, maxBytes, onFull: 'drop-oldest' } } });
    const peer = new LivePeer(test);
    peer.receiver(1, 'a', { name: 'sub' });
    peer.sender(0, 'a');
    peer.publish(0, 'x');
    assert.deepEqual(peer.texts(), ['x']);
    peer.detach(1, false);
    peer.receiver(1, 'a', { name: 'sub', unsettled: new Map<string, DeliveryState>() });
    // Where memory had no room for it nothing comes, and nothing breaks.
    assert.deepEqual(peer.texts(), maxBytes === 1 ? [] : ['x']);
    peer.publish(0, 'y');
    assert.deepEqual(peer.texts(), ['y']);
    assert.equal(test.failed, undefined);
  }
});

conforms('3.5.6-1', 'links that are detached and live on count among those of their connection', async () => {
  const { test, peer } = await meet({ options: { maxLinks: 3 } });
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    peer.receiver(1, { address: 'a' }, { name });
    peer.detach(1, false);
  }
  assert.equal([...test.broker.space('main').sessions.keys()].filter((name) => name.includes('/out/')).length <= 3, true);
});

conforms('3.5.6-1', 'whoever looks at a terminus by an attach without source changes nothing of its time', async () => {
  const { test, peer } = await meet();
  peer.receiver(1, { address: 'a', durable: 2, expiryPolicy: 'link-detach', timeout: 60 }, { name: 'sub' });
  peer.detach(1, false);
  const { source } = peer.receiver(1, undefined, { name: 'sub' }, 0);
  assert.deepEqual([source?.expiryPolicy, source?.timeout], ['link-detach', 60]);
  peer.detach(1, false);
  test.advance(59_000);
  const { sessions } = test.broker.space('main');
  assert.equal(sessions.has('$amqp/peer/out/sub'), true);
  test.advance(2000);
  assert.equal(sessions.has('$amqp/peer/out/sub'), false);
});

conforms('3.5.1-1', 'moved: of several receivers one gets a message; copied: it stays where it is', async () => {
  const { peer } = await meet();
  for (const handle of [1, 2]) peer.receiver(handle, '$queue/q');
  peer.receiver(3, { address: '$queue/q', distributionMode: 'copy' });
  peer.sender(0, 'queue:q');
  for (let i = 0; i < 4; i++) peer.publish(0, `m${i}`);
  const heard = peer.transfers();
  assert.equal(heard.filter((each) => each.handle !== 2).length, 4);
});

conforms('3.5.2-1', 'a source never sends again what was accepted', async () => {
  const test = await TestBroker.start();
  const peer = new LivePeer(test);
  const source = { address: 'a', durable: 2, expiryPolicy: 'never' } as const;
  peer.receiver(1, source, { name: 'sub' });
  peer.sender(0, 'a');
  peer.publish(0, 'x');
  peer.heard();
  peer.settle(0, acceptedState);
  peer.detach(1, false);
  peer.receiver(1, source, { name: 'sub', unsettled: new Map<string, DeliveryState>() });
  assert.deepEqual(peer.texts(), []);
  const again = new LivePeer(await test.restart());
  again.receiver(1, source, { name: 'sub' });
  assert.deepEqual(again.texts(), []);
});

conforms(
  '3.2.4-2 3.2.4-3',
  'a message that cannot be routed detaches the link, with its tag, where it was sent settled or cannot be rejected',
  async () => {
    const to = (address: string): Uint8Array =>
      bytes(listSection(0x73, 3, 0x40, 0x40, 0xa1, address.length, ...Buffer.from(address)), data('x'));
    for (const [settled, source] of [
      [true, {}],
      [false, { outcomes: ['amqp:accepted:list'] }],
    ] as const) {
      for (const address of ['a/#', '']) {
        const { peer } = await meet();
        peer.sender(0, undefined, { source: { type: 'source', ...source } });
        peer.publishMessage(0, to('fine'), settled);
        assert.deepEqual(endsOf(peer.words()), []);
        peer.publishMessage(0, to(address), settled);
        const [detach] = peer.heard();
        assert.ok(detach?.type === 'detach' && detach.closed === true && detach.error !== undefined);
        assert.deepEqual(latin1(detach.error.info?.get('delivery-tag')?.value as Uint8Array), 't1');
      }
    }
  },
);

conforms('3.2.4-1', 'a message to an anonymous terminus goes where its `to` says; without one it is rejected', async () => {
  const { peer } = await meet();
  peer.receiver(1, 'a');
  peer.sender(0, undefined);
  peer.publishMessage(0, bytes(listSection(0x73, 3, 0x40, 0x40, 0xa1, 1, 0x61), data('x')));
  assert.equal(peer.transfers().length, 1);
  peer.publishMessage(0, bytes(data('nowhere')));
  assert.match(peer.words()[0] ?? '', /^receiver 1 settled rejected amqp:/);
});
