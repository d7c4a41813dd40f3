// Transactions of AMQP peers over the real broker [AMQP 4].

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowAll, TestBroker } from '../../broker/testing/test-broker.ts';
import {
  acceptedState,
  type Attach,
  type Declare,
  type DeliveryState,
  type Discharge,
  ValueWriter,
  writeCoordination,
} from './codec/index.ts';
import { LivePeer } from './testing/live-peer.ts';
import * as frames from './testing/peer-frames.ts';

const coordinatorHandle = 9;

/** A peer with a link to the coordinator. */
class Controller {
  readonly peer: LivePeer;
  readonly test: TestBroker;
  #nextDeliveryId = 1000;

  constructor(test: TestBroker, containerId = 'controller', more: Partial<Attach> = {}) {
    this.test = test;
    this.peer = new LivePeer(test, containerId);
    this.peer.say(
      frames.senderAttach({
        handle: coordinatorHandle,
        name: 'coordinator',
        target: { type: 'coordinator', capabilities: ['amqp:local-transactions'] },
        ...more,
      }),
    );
  }

  ask(request: Declare | Discharge, settled = false): DeliveryState | undefined {
    const writer = new ValueWriter();
    writer.descriptor(0x77);
    writeCoordination(writer, request);
    const deliveryId = this.#nextDeliveryId++;
    const transfer = { handle: coordinatorHandle, deliveryId, deliveryTag: Buffer.from(`c${deliveryId}`), messageFormat: 0, settled };
    this.peer.send(frames.frame(0, { type: 'transfer', ...transfer }, writer.copy()));
    const heard = this.peer.heard();
    const answer = heard.find((each) => each.type === 'disposition' && each.first === deliveryId);
    this.others = heard.filter((each) => each !== answer);
    return answer?.type === 'disposition' ? answer.state : undefined;
  }

  others: ReturnType<LivePeer['heard']> = [];

  declare(): Uint8Array {
    const state = this.ask({ type: 'declare' });
    assert.equal(state?.type, 'declared');
    return state.txnId;
  }

  discharge(txnId: Uint8Array, fail = false): DeliveryState | undefined {
    return this.ask({ type: 'discharge', txnId, fail });
  }

  post(handle: number, text: string, txnId: Uint8Array): void {
    const deliveryId = this.#nextDeliveryId++;
    this.peer.send(frames.transfer(deliveryId, text, { handle, state: { type: 'transactional-state', txnId } }));
  }

  retire(deliveryId: number, txnId: Uint8Array, settled: boolean): void {
    this.peer.settle(deliveryId, { type: 'transactional-state', txnId, outcome: acceptedState }, settled);
  }
}

async function scene(options: Parameters<typeof TestBroker.start>[0] = {}) {
  const test = await TestBroker.start(options);
  const controller = new Controller(test);
  const { peer } = controller;
  const words = peer.words();
  assert.ok(
    words.some((each) => each.startsWith('attach')),
    words.join('; '),
  );
  const watcher = new LivePeer(test, 'watcher');
  watcher.receiver(1, 'out');
  peer.sender(0, 'out');
  return { test, controller, peer, watcher };
}

function conditionOf(state: DeliveryState | undefined): string | undefined {
  return state?.type === 'rejected' ? state.error?.condition : state?.type;
}

describe('a transaction of an AMQP peer', () => {
  it('publishes when it is discharged', async () => {
    const { controller, peer, watcher } = await scene();
    const txnId = controller.declare();
    controller.post(0, 'one', txnId);
    const posted = peer.heard().find((each) => each.type === 'disposition');
    assert.deepEqual(
      [posted?.settled, posted?.state],
      [true, { type: 'transactional-state', txnId: new Uint8Array(txnId), outcome: acceptedState }],
    );
    controller.post(0, 'two', txnId);
    assert.deepEqual(watcher.texts(), []);
    assert.equal(controller.discharge(txnId)?.type, 'accepted');
    assert.deepEqual(watcher.texts(), ['one', 'two']);
  });

  it('publishes nothing that its principal may not any more', async () => {
    const denied = new Set<string>();
    const security = {
      ...allowAll,
      version: 1,
      allows: (_who: unknown, action: string, topic: string) => !denied.has(`${action} ${topic}`),
    };
    const { controller, watcher, peer } = await scene({ security });
    peer.sender(1, 'also');
    const txnId = controller.declare();
    controller.post(0, 'one', txnId);
    controller.post(1, 'two', txnId);
    denied.add('publish also');
    security.version++;
    assert.equal(conditionOf(controller.discharge(txnId)), 'amqp:transaction:rollback');
    assert.deepEqual(watcher.texts(), []);
  });

  it('publishes nothing when it fails', async () => {
    const { controller, watcher } = await scene();
    const txnId = controller.declare();
    controller.post(0, 'one', txnId);
    assert.equal(controller.discharge(txnId, true)?.type, 'accepted');
    assert.deepEqual(watcher.texts(), []);
  });

  it('settles deliveries when it is discharged, and says so where they are not', async () => {
    const { test, controller, peer } = await scene();
    peer.sender(1, 'queue:jobs');
    for (const text of ['a', 'b']) peer.publish(1, text);
    peer.receiver(2, '$queue/jobs');
    const ids = peer.transfers().map(({ deliveryId }) => deliveryId!);
    assert.equal(ids.length, 2);
    const txnId = controller.declare();
    controller.retire(ids[0]!, txnId, true);
    controller.retire(ids[1]!, txnId, false);
    const { queue } = test.broker.space('main').named.get('jobs')!;
    assert.equal(queue.ledger.queued, 2);
    assert.equal(controller.discharge(txnId)?.type, 'accepted');
    assert.equal(queue.ledger.queued, 0);
    const settled = controller.others.filter((each) => each.type === 'disposition');
    assert.deepEqual(
      settled.map(({ first, settled: isSettled }) => [first, isSettled]),
      [[ids[1], true]],
    );
  });

  it('gives back what its peer has settled when it is rolled back, and counts the attempt', async () => {
    const { controller, peer } = await scene();
    peer.sender(1, 'queue:jobs');
    peer.publish(1, 'a');
    peer.receiver(2, '$queue/jobs');
    const [first] = peer.transfers();
    const txnId = controller.declare();
    controller.retire(first!.deliveryId!, txnId, true);
    assert.equal(controller.discharge(txnId, true)?.type, 'accepted');
    const again = [...controller.others, ...peer.heard()].filter((each) => each.type === 'transfer');
    assert.equal(again.length, 1);
    // header.delivery-count
    const { message } = again[0] as { message: Buffer };
    assert.equal(message.subarray(0, 3).toString('hex'), '005370');
    assert.ok(message.subarray(3, message.indexOf(Buffer.from([0, 0x53, 0x75]))).includes(Buffer.from([0x52, 1])));
  });

  it('may be one of several, over several sessions of links', async () => {
    const { controller, watcher } = await scene();
    const [one, other] = [controller.declare(), controller.declare()];
    assert.notDeepEqual(one, other);
    controller.post(0, 'one', one);
    controller.post(0, 'other', other);
    assert.equal(controller.discharge(other)?.type, 'accepted');
    assert.deepEqual(watcher.texts(), ['other']);
    assert.equal(controller.discharge(one, true)?.type, 'accepted');
    assert.deepEqual(watcher.texts(), []);
  });

  it('is unknown when it is over, and to other connections', async () => {
    const { test, controller } = await scene();
    const txnId = controller.declare();
    const other = new Controller(test, 'other');
    other.peer.heard();
    assert.equal(conditionOf(other.discharge(txnId)), 'amqp:transaction:unknown-id');
    assert.equal(controller.discharge(txnId)?.type, 'accepted');
    assert.equal(conditionOf(controller.discharge(txnId)), 'amqp:transaction:unknown-id');
    controller.post(0, 'late', txnId);
    assert.ok(controller.peer.words().some((each) => each.includes('rejected')));
  });

  it('that takes too long is rolled back, and told so', async () => {
    const { test, controller, watcher } = await scene();
    const txnId = controller.declare();
    controller.post(0, 'one', txnId);
    test.advance(60_001);
    controller.peer.heard();
    assert.equal(conditionOf(controller.discharge(txnId)), 'amqp:transaction:timeout');
    assert.deepEqual(watcher.texts(), []);
  });

  it('is rolled back with the link to the coordinator, and with the connection', async () => {
    const { test, controller, peer, watcher } = await scene();
    controller.post(0, 'one', controller.declare());
    peer.detach(coordinatorHandle, true);
    assert.equal(test.broker.context.transactions.open, 0);
    const other = new Controller(test, 'other');
    other.peer.heard();
    other.peer.sender(0, 'out');
    other.post(0, 'two', other.declare());
    assert.equal(test.broker.context.transactions.open, 1);
    other.peer.lose();
    assert.equal(test.broker.context.transactions.open, 0);
    assert.deepEqual(watcher.texts(), []);
  });

  it('acquires nothing: a link that is to do so is detached, and keeps its messages', async () => {
    const { controller, peer } = await scene();
    peer.sender(1, 'queue:jobs');
    peer.receiver(2, '$queue/jobs', {}, 0);
    peer.publish(1, 'a');
    const txnId = controller.declare();
    peer.credit(2, 1, { properties: new Map([['txn-id', { type: 'binary', value: txnId }]]) });
    const words = peer.words();
    assert.ok(
      words.some((each) => /^detach \d+ amqp:not-implemented$/.test(each)),
      words.join('; '),
    );
    peer.detach(2, false);
    peer.receiver(3, '$queue/jobs');
    assert.deepEqual(peer.texts(), ['a']);
  });

  it('with a message that cannot be taken comes to nothing', async () => {
    const { test, controller, watcher } = await scene();
    const txnId = controller.declare();
    controller.post(0, 'one', txnId);
    for (let i = 0; i < 100; i++) controller.post(0, String(i), txnId);
    controller.peer.heard();
    assert.equal(conditionOf(controller.discharge(txnId)), 'amqp:transaction:rollback');
    assert.deepEqual(watcher.texts(), []);
    assert.equal(test.broker.context.transactions.open, 0);
  });
});

describe('the link to the coordinator', () => {
  it('says what it can do', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test);
    peer.say(frames.senderAttach({ handle: 9, target: { type: 'coordinator' } }));
    const answer = peer.heard().find((each) => each.type === 'attach');
    assert.ok(answer?.type === 'attach' && answer.target?.type === 'coordinator');
    assert.deepEqual(answer.target.capabilities, ['amqp:local-transactions', 'amqp:multi-txns-per-ssn', 'amqp:multi-ssns-per-txn']);
  });

  it('refuses what is no request, distributed transactions, and too many', async () => {
    const test = await TestBroker.start();
    const controller = new Controller(test);
    controller.peer.heard();
    assert.equal(conditionOf(controller.ask({ type: 'declare', globalId: { type: 'string', value: 'x' } })), 'amqp:not-implemented');
    for (let i = 0; i < 10; i++) controller.declare();
    assert.equal(conditionOf(controller.ask({ type: 'declare' })), 'amqp:resource-limit-exceeded');
    controller.peer.publish(coordinatorHandle, 'garbage');
    assert.ok(controller.peer.words().some((each) => each.includes('amqp:decode-error')));
  });

  it('is detached where the peer takes no rejected outcome', async () => {
    const test = await TestBroker.start();
    const controller = new Controller(test, 'strict', { source: { type: 'source', outcomes: ['amqp:accepted:list'] } });
    controller.peer.heard();
    assert.equal(controller.ask({ type: 'discharge', txnId: Buffer.from('nothing') }), undefined);
    assert.ok(controller.others.some((each) => each.type === 'detach' && each.error?.condition === 'amqp:transaction:unknown-id'));
  });
});
