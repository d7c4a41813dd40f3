// Transactions (part 4).

import assert from 'node:assert/strict';
import {
  acceptedState,
  type AmqpOutcome,
  type AmqpValue,
  type Attach,
  type Declare,
  type DeliveryState,
  type Discharge,
  releasedState,
  ValueWriter,
  writeCoordination,
} from '../../../src/protocols/amqp/codec/index.ts';
import type { LivePeer } from '../../../src/protocols/amqp/testing/live-peer.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { conforms } from './conforms.ts';
import { deliveryCountOf } from './messages.ts';
import { endsOf, meet } from './scene.ts';

const control = 9;

class Controller {
  readonly peer: LivePeer;
  /** The coordinator’s side of the link. */
  readonly attach: Attach;
  #nextId = 100;

  constructor(peer: LivePeer, more: Partial<Attach> = {}) {
    this.peer = peer;
    peer.say(frames.senderAttach({ handle: control, name: 'control', target: { type: 'coordinator' }, ...more }));
    this.attach = peer.heard().find((each) => each.type === 'attach') as Attach;
  }

  ask(request: Declare | Discharge, settled = false): DeliveryState | undefined {
    const writer = new ValueWriter();
    writer.descriptor(0x77);
    writeCoordination(writer, request);
    const deliveryId = this.#nextId++;
    const transfer = {
      type: 'transfer',
      handle: control,
      deliveryId,
      deliveryTag: Buffer.from(`c${deliveryId}`),
      messageFormat: 0,
      settled,
    } as const;
    this.peer.send(frames.frame(0, transfer, writer.copy()));
    this.heard = this.peer.heard();
    const answer = this.heard.find((each) => each.type === 'disposition' && each.first === deliveryId);
    return answer?.type === 'disposition' ? answer.state : undefined;
  }

  heard: ReturnType<LivePeer['heard']> = [];

  declare(): Uint8Array {
    const state = this.ask({ type: 'declare' });
    assert.equal(state?.type, 'declared');
    return state.txnId;
  }

  discharge(txnId: Uint8Array, fail = false): string | undefined {
    const state = this.ask({ type: 'discharge', txnId, fail });
    return state?.type === 'rejected' ? state.error?.condition : state?.type;
  }

  post(handle: number, text: string, txnId: Uint8Array, more: frames.TransferMore = {}): number {
    const deliveryId = this.#nextId++;
    this.peer.send(frames.transfer(deliveryId, text, { handle, state: { type: 'transactional-state', txnId }, ...more }));
    return deliveryId;
  }

  retire(deliveryId: number, txnId: Uint8Array, outcome: AmqpOutcome | undefined, settled: boolean): void {
    this.peer.settle(deliveryId, { type: 'transactional-state', txnId, outcome }, settled);
  }
}

/** A queue that is sent to on handle 0 and received from on handle 1. */
async function scene(more: Partial<Attach> = {}, source = {}) {
  const { test, peer } = await meet();
  peer.sender(0, 'queue:q');
  peer.receiver(1, { address: '$queue/q', ...source });
  return { test, peer, controller: new Controller(peer, more) };
}

conforms('4.1-1 4.5.1-1', 'the coordinator answers an attach to it as what it is, and tells what it can do', async () => {
  const { controller } = await scene();
  assert.equal(controller.attach.target?.type, 'coordinator');
  assert.deepEqual(
    controller.attach.target.capabilities?.filter((each) => !/^amqp:(local-transactions|multi-(txns|ssns)-per-(ssn|txn))$/.test(each)),
    [],
  );
});

conforms('4.2-1', 'a declare is answered by declared, with an id of its own', async () => {
  const { controller } = await scene();
  const ids = Array.from({ length: 5 }, () => Buffer.from(controller.declare()).toString('hex'));
  assert.equal(new Set(ids).size, 5);
});

conforms('4.2-2', 'a declare that is sent settled detaches the control link with an error', async () => {
  const { controller } = await scene();
  controller.ask({ type: 'declare' }, true);
  assert.ok(controller.heard.some((each) => each.type === 'detach' && each.error !== undefined));
});

conforms('4.2-3 4.5.2-1', 'what cannot be declared is rejected with the reason', async () => {
  const { controller } = await scene();
  const globalId: AmqpValue = { type: 'string', value: 'global' };
  const state = controller.ask({ type: 'declare', globalId });
  assert.ok(state?.type === 'rejected' && state.error !== undefined);
});

conforms('4.2-4 4.3-5', 'a controller that does not take rejected has its link detached with the reason', async () => {
  const { controller } = await scene({ source: { type: 'source', outcomes: ['amqp:accepted:list'] } });
  controller.ask({ type: 'discharge', txnId: Buffer.from('none') });
  assert.ok(controller.heard.some((each) => each.type === 'detach' && each.error?.condition === 'amqp:transaction:unknown-id'));
  const other = await scene({ source: { type: 'source', outcomes: ['amqp:accepted:list'] } });
  other.controller.ask({ type: 'declare', globalId: { type: 'string', value: 'global' } });
  assert.ok(other.controller.heard.some((each) => each.type === 'detach' && each.error !== undefined));
});

conforms('4.3-1 4.3-2 4.4.1-1 4.4.1-2', 'posted messages are there when the discharge succeeds, and never when it fails', async () => {
  const { controller, peer } = await scene();
  const good = controller.declare();
  controller.post(0, 'good', good);
  assert.deepEqual(peer.texts(), []);
  assert.equal(controller.discharge(good), 'accepted');
  assert.equal(controller.heard.filter((each) => each.type === 'transfer').length, 1);
  const bad = controller.declare();
  controller.post(0, 'bad', bad);
  assert.equal(controller.discharge(bad, true), 'accepted');
  assert.deepEqual([controller.heard.filter((each) => each.type === 'transfer'), peer.texts()], [[], []]);
});

conforms('4.3-3', 'a discharge that is sent settled is an error: the control link is detached, and nothing is committed', async () => {
  const { controller, peer } = await scene();
  const txnId = controller.declare();
  controller.post(0, 'x', txnId);
  peer.heard();
  controller.ask({ type: 'discharge', txnId, fail: false }, true);
  assert.ok(controller.heard.some((each) => each.type === 'detach' && each.error !== undefined));
  assert.deepEqual(
    controller.heard.filter((each) => each.type === 'transfer'),
    [],
  );
});

conforms('4.3-4', 'what is discharged is over: its id is unknown to everything after it', async () => {
  const { controller, peer } = await scene();
  const txnId = controller.declare();
  controller.discharge(txnId);
  assert.equal(controller.discharge(txnId), 'amqp:transaction:unknown-id');
  const deliveryId = controller.post(0, 'x', txnId);
  assert.deepEqual(peer.words(), [`receiver ${deliveryId} settled rejected amqp:transaction:unknown-id`]);
});

conforms('4.3-6', 'the end of the control link is a failed discharge of all that was declared on it', async () => {
  for (const closed of [true, false]) {
    const { test, controller, peer } = await scene();
    controller.post(0, 'x', controller.declare());
    peer.detach(control, closed);
    assert.deepEqual(peer.texts(), []);
    assert.equal(test.broker.context.transactions.open, 0);
  }
});

conforms(
  '4.4.1-3',
  'a transaction in which a delivery is not whole cannot be discharged: the control link ends with a rollback',
  async () => {
    const { controller, peer } = await scene();
    const txnId = controller.declare();
    controller.post(0, 'whole', txnId);
    controller.post(0, 'a part', txnId, { more: true });
    peer.heard();
    controller.ask({ type: 'discharge', txnId, fail: false });
    const ends = controller.heard.flatMap((each) => (each.type === 'detach' ? [each.error?.condition] : []));
    assert.deepEqual(ends, ['amqp:transaction:rollback']);
    assert.deepEqual(
      controller.heard.filter((each) => each.type === 'transfer'),
      [],
    );
  },
);

conforms('4.4.1-4', 'the outcome of a posted delivery is told before the discharge, and within the same transaction', async () => {
  const { controller, peer } = await scene();
  const txnId = controller.declare();
  const deliveryId = controller.post(0, 'x', txnId);
  const [told] = peer.heard();
  assert.ok(told?.type === 'disposition' && told.first === deliveryId && told.state?.type === 'transactional-state');
  assert.deepEqual(Buffer.from(told.state.txnId), Buffer.from(txnId));
  assert.equal(told.state.outcome?.type, 'accepted');
});

conforms('4.4.1-5', 'what was posted settled and cannot be processed keeps the transaction from being committed', async () => {
  const { peer } = await meet(
    {},
    { limits: { transactions: { maxOpenPerPrincipal: 10, maxMessages: 2, maxBytes: 100_000, timeoutMs: 60_000 } } },
  );
  peer.sender(0, 'queue:q');
  const controller = new Controller(peer);
  const txnId = controller.declare();
  for (let i = 0; i < 4; i++) controller.post(0, 'x', txnId, { settled: true });
  assert.equal(controller.discharge(txnId), 'amqp:transaction:rollback');
  peer.receiver(1, '$queue/q');
  assert.deepEqual(peer.texts(), []);
});

conforms(
  '4.4.2-1',
  'an outcome within a transaction is applied when it is discharged: unsettled deliveries are settled then, as the controller is told',
  async () => {
    const { controller, peer } = await scene();
    for (let i = 0; i < 3; i++) peer.publish(0, `m${i}`);
    peer.heard();
    const txnId = controller.declare();
    controller.retire(0, txnId, acceptedState, true);
    controller.retire(1, txnId, acceptedState, false);
    controller.retire(2, txnId, releasedState, true);
    assert.deepEqual(peer.words(), []);
    assert.equal(controller.discharge(txnId), 'accepted');
    const told = controller.heard.flatMap((each) =>
      each.type === 'disposition' && each.role === 'sender' ? [[each.first, each.settled]] : [],
    );
    assert.deepEqual(told, [[1, true]]);
    assert.equal(controller.heard.filter((each) => each.type === 'transfer').length, 1);
  },
);

conforms('4.4.2-2', 'what was retired unsettled is unsettled after a failed discharge, and takes another outcome', async () => {
  const { controller, peer } = await scene();
  peer.publish(0, 'x');
  peer.heard();
  const txnId = controller.declare();
  controller.retire(0, txnId, acceptedState, false);
  assert.equal(controller.discharge(txnId, true), 'accepted');
  assert.deepEqual(
    controller.heard.filter((each) => each.type !== 'disposition'),
    [],
  );
  peer.settle(0, acceptedState, false);
  assert.deepEqual(peer.words(), ['sender 0 settled accepted']);
});

conforms('4.4.2-3', 'what was retired settled has the default outcome of its source after a failed discharge', async () => {
  const cases: [AmqpOutcome, number][] = [
    [releasedState, 0],
    [{ type: 'modified', deliveryFailed: true }, 1],
  ];
  for (const [defaultOutcome, expected] of cases) {
    const { controller, peer } = await scene({}, { defaultOutcome });
    peer.publish(0, 'x');
    peer.heard();
    const txnId = controller.declare();
    controller.retire(0, txnId, acceptedState, true);
    controller.discharge(txnId, true);
    const again = [...controller.heard, ...peer.heard()].filter((each) => each.type === 'transfer') as { message: Buffer }[];
    assert.deepEqual(
      again.map(({ message }) => deliveryCountOf(message)),
      [expected],
    );
  }
});

conforms('4.4.2-4', 'a retirement within a transaction that is unknown detaches the link with that error', async () => {
  const { peer, controller } = await scene();
  peer.publish(0, 'x');
  peer.heard();
  controller.retire(0, Buffer.from('none'), acceptedState, true);
  assert.match(endsOf(peer.words())[0] ?? '', /amqp:transaction:unknown-id$/);
});

conforms('4.4.3-1', 'a link that is to acquire within a transaction is detached: that is not implemented', async () => {
  const { peer, controller } = await scene();
  const txnId = controller.declare();
  peer.credit(1, 1, { properties: new Map([['txn-id', { type: 'binary', value: txnId }]]) });
  assert.match(endsOf(peer.words())[0] ?? '', /amqp:not-implemented$/);
});

conforms('4.4-1', 'a transaction may span links and sessions of its connection', async () => {
  const { controller, peer } = await scene();
  peer.send(frames.frame(1, frames.begin));
  peer.send(frames.frame(1, frames.senderAttach({ name: 'elsewhere', target: { type: 'target', address: 'queue:q' } })));
  peer.heard();
  const txnId = controller.declare();
  controller.post(0, 'here', txnId);
  const state = { type: 'transactional-state', txnId } as const;
  const transfer = { type: 'transfer', handle: 0, deliveryId: 0, deliveryTag: Buffer.from('t'), messageFormat: 0, state } as const;
  peer.send(frames.frame(1, transfer, frames.dataMessage('there')));
  peer.heard();
  controller.discharge(txnId);
  assert.equal(controller.heard.filter((each) => each.type === 'transfer').length, 2);
});
