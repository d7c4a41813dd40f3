// A link on which the peer receives, in dialogue with a broker that does as it is told.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Outcome, type Settlement, type SettlementDetail, type Transaction } from '../../broker/port.ts';
import { Message } from '../../message/message.ts';
import { acceptedState, type Attach, type DeliveryState, releasedState } from './codec/index.ts';
import { Dialogue } from './testing/dialogue.ts';
import type { FakeSession } from './testing/fake-broker.ts';
import * as frames from './testing/peer-frames.ts';

const attach: Attach = {
  type: 'attach',
  name: 'link',
  handle: 0,
  role: 'receiver',
  source: { type: 'source', address: 'a' },
  target: { type: 'target' },
};

type More = Partial<Attach> & { readonly credit?: number };

/** The attach is sent; the broker has not answered the subscription, unless it is to. */
function asking(more: Partial<Attach> = {}, subscribe: Outcome | 'later' = 'later'): Dialogue {
  const dialogue = Dialogue.begun();
  dialogue.broker.script.subscribe = subscribe;
  dialogue.asked();
  dialogue.say(0, { ...attach, ...more });
  return dialogue;
}

/** An attached link that has credit. */
function receiving({ credit = 10, ...more }: More = {}): Dialogue {
  const dialogue = asking(more, Outcome.accepted);
  flow(dialogue, credit);
  dialogue.heard();
  dialogue.asked();
  return dialogue;
}

function flow(dialogue: Dialogue, linkCredit: number, more: object = {}): void {
  const window = { nextIncomingId: 0, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 };
  dialogue.say(0, { type: 'flow', ...window, handle: 0, deliveryCount: 0, linkCredit, ...more });
}

function message(text = 'x', guarantee: 0 | 1 | 2 = 1): Message {
  const payload = Buffer.from(text);
  return new Message('a', Buffer.from('a'), payload, 0, payload.length, guarantee, false, 4, 0, 0, '', undefined);
}

function deliver(dialogue: Dialogue, id: number, guarantee: 1 | 2 = 1, redelivered = false): void {
  dialogue.fromBroker(({ consumer }) => consumer.transfer(id, guarantee, message(), false, redelivered, undefined, 100 + id, 0));
}

function say(dialogue: Dialogue, first: number, state: DeliveryState | undefined, settled = true): void {
  dialogue.say(0, { type: 'disposition', role: 'receiver', first, settled, state });
}

describe('opening a receiving link', () => {
  it('asks for a broker session of its own, and for one subscription, and then answers', () => {
    const dialogue = asking({
      source: { type: 'source', address: 'a', durable: 2, expiryPolicy: 'link-detach', timeout: 5 },
      rcvSettleMode: 1,
    });
    assert.deepEqual(dialogue.asked(), ['attach $amqp/peer/out/link expiry=5000 part', 'subscribe a']);
    assert.deepEqual(dialogue.heard(), []);
    dialogue.fromBroker((session) => session.consumer.subscribed(0, [{ outcome: Outcome.accepted, guarantee: 2 }]));
    const [answer] = dialogue.frames();
    assert.deepEqual(answer, {
      type: 'attach',
      channel: 0,
      name: 'link',
      handle: 0,
      role: 'sender',
      sndSettleMode: 2,
      rcvSettleMode: 1,
      source: {
        type: 'source',
        address: 'a',
        durable: 2,
        expiryPolicy: 'link-detach',
        timeout: 5,
        distributionMode: 'copy',
        defaultOutcome: { type: 'modified', deliveryFailed: true },
        outcomes: ['amqp:accepted:list', 'amqp:rejected:list', 'amqp:released:list', 'amqp:modified:list'],
        capabilities: ['topic'],
      },
      target: { type: 'target' },
      initialDeliveryCount: 0,
    });
  });

  it('forgets what was there before, if nothing is to outlive it', () => {
    const source = { type: 'source', address: 'a', expiryPolicy: 'link-detach' } as const;
    assert.deepEqual(asking({ source }).asked(), ['attach $amqp/peer/out/link clean part', 'subscribe a']);
    // What is left of a link in the same session is resumed.
    assert.deepEqual(asking().asked(), ['attach $amqp/peer/out/link part', 'subscribe a']);
  });

  it('is refused with the broker’s reason', () => {
    const cases: readonly (readonly [Outcome, string])[] = [
      [Outcome.notAuthorized, 'amqp:unauthorized-access'],
      [Outcome.filterInvalid, 'amqp:invalid-field'],
      [Outcome.selectorInvalid, 'amqp:invalid-field'],
      [Outcome.inUse, 'amqp:resource-locked'],
      [Outcome.quotaExceeded, 'amqp:resource-limit-exceeded'],
    ];
    for (const [outcome, condition] of cases) {
      const dialogue = asking();
      dialogue.asked();
      dialogue.fromBroker((session) => session.consumer.subscribed(0, [{ outcome, guarantee: 0 }]));
      assert.deepEqual(dialogue.heard(), ['attach 0 link no-source no-target', `detach 0 closed ${condition}`]);
      assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/out/link expiry=0']);
    }
    const dialogue = Dialogue.begun();
    dialogue.broker.attachAnswer = Outcome.quotaExceeded;
    dialogue.say(0, attach);
    assert.deepEqual(dialogue.heard(), ['attach 0 link no-source no-target', 'detach 0 closed amqp:resource-limit-exceeded']);
  });

  it('may be over before the broker answers', () => {
    const dialogue = Dialogue.begun();
    dialogue.asked();
    dialogue.broker.attachAnswer = 'later';
    dialogue.say(0, { ...attach, source: { type: 'source', address: 'a', expiryPolicy: 'never' } });
    dialogue.say(0, { type: 'detach', handle: 0, closed: true });
    dialogue.asked();
    dialogue.broker.answerAttach();
    assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/out/link expiry=0']);
  });

  it('takes credit that comes before its answer', () => {
    const dialogue = asking();
    flow(dialogue, 5, { deliveryCount: undefined });
    dialogue.asked();
    dialogue.fromBroker((session) => session.consumer.subscribed(0, [{ outcome: Outcome.accepted, guarantee: 1 }]));
    assert.deepEqual(dialogue.asked(), ['resume']);
    assert.equal(dialogue.session.consumer.congested, false);
  });
});

describe('deliveries', () => {
  it('are byte for byte what the specification says', () => {
    const dialogue = receiving();
    deliver(dialogue, 7);
    const expected = [
      [0, 0, 0, 0x35, 2, 0, 0, 0],
      // transfer: handle 0, delivery-id 0, tag 107, message-format 0, unsettled, no more
      [0, 0x53, 0x14, 0xc0, 0x09, 6, 0x43, 0x43, 0xa0, 1, 107, 0x43, 0x42, 0x42],
      // header: durable, first-acquirer
      [0, 0x53, 0x70, 0xc0, 5, 4, 0x41, 0x40, 0x40, 0x41],
      [0, 0x53, 0x75, 0xa0, 1, 0x78],
    ].flat();
    const bytes = dialogue.wire.takeBytes();
    expected[3] = expected.length;
    assert.deepEqual([...bytes], expected);
  });

  it('stop with the credit, and where the window or the output is full', () => {
    const dialogue = receiving({ credit: 1 });
    const { consumer } = dialogue.session;
    assert.equal(consumer.congested, false);
    deliver(dialogue, 1);
    assert.equal(consumer.congested, true);
    assert.equal(
      dialogue.broker.inCall(() => consumer.send(message('x', 0), false, undefined)),
      false,
    );
    flow(dialogue, 5, { deliveryCount: 1, nextIncomingId: 1, incomingWindow: 0 });
    assert.equal(consumer.congested, true);
    dialogue.asked();
    flow(dialogue, 5, { deliveryCount: 1, nextIncomingId: 1, incomingWindow: 1 });
    assert.ok(dialogue.asked().includes('resume'));
    assert.equal(consumer.congested, false);
  });

  it('answer a drain when what there is has been sent', () => {
    const dialogue = receiving({ credit: 0 });
    flow(dialogue, 3, { drain: true });
    assert.deepEqual(dialogue.asked(), ['drain']);
    assert.deepEqual(dialogue.heard(), []);
    deliver(dialogue, 1);
    dialogue.heard();
    dialogue.fromBroker(({ consumer }) => consumer.drained!());
    assert.deepEqual(dialogue.heard(), ['flow 0 count=3 credit=0']);
    // Without credit there is nothing to wait for.
    flow(dialogue, 0, { drain: true, deliveryCount: 3 });
    assert.deepEqual(dialogue.heard(), ['flow 0 count=3 credit=0']);
    assert.deepEqual(dialogue.asked(), []);
  });

  it('do not give credit back while the window keeps them from being sent', () => {
    const dialogue = receiving({ credit: 0 });
    flow(dialogue, 3, { drain: true, incomingWindow: 0 });
    dialogue.fromBroker(({ consumer }) => consumer.drained!());
    assert.deepEqual(dialogue.heard(), []);
    dialogue.asked();
    flow(dialogue, 3, { drain: true, incomingWindow: 10 });
    assert.ok(dialogue.asked().includes('drain'));
  });
});

describe('what the peer says of a delivery', () => {
  function settlements(state: DeliveryState | undefined, settled = true, more: More = {}): { asked: string[]; heard: string[] } {
    const dialogue = receiving(more);
    deliver(dialogue, 7);
    dialogue.heard();
    say(dialogue, 0, state, settled);
    return { asked: dialogue.asked(), heard: dialogue.heard() };
  }

  it('settles it in the broker', () => {
    assert.deepEqual(settlements(acceptedState), { asked: ['settle 7 accepted'], heard: [] });
    assert.deepEqual(settlements(releasedState).asked, ['settle 7 released']);
    assert.deepEqual(settlements({ type: 'rejected' }).asked, ['settle 7 rejected']);
    const error = { type: 'error', condition: 'c:d', description: 'why' } as const;
    assert.deepEqual(settlements({ type: 'rejected', error }).asked, [
      'settle 7 rejected {"reason":{"condition":"c:d","description":"why"}}',
    ]);
    assert.deepEqual(settlements({ type: 'modified', deliveryFailed: true }).asked, [
      'settle 7 modified {"deliveryFailed":true,"undeliverableHere":false}',
    ]);
    const messageAnnotations = new Map([
      ['k', { type: 'uint', value: 1 } as const],
      ['list', { type: 'list', value: [] } as const],
      ['x-opt-sender', { type: 'string', value: 'me' } as const],
    ]);
    assert.deepEqual(settlements({ type: 'modified', undeliverableHere: true, messageAnnotations }).asked, [
      'settle 7 modified {"deliveryFailed":false,"undeliverableHere":true,"annotations":[{"key":"k","value":{"type":"uint","value":1}}]}',
    ]);
  });

  it('is answered where the peer has not settled', () => {
    assert.deepEqual(settlements(acceptedState, false), { asked: ['settle 7 accepted'], heard: ['sender 0 settled accepted'] });
    assert.deepEqual(settlements(releasedState, false).heard, ['sender 0 settled released']);
  });

  it('is nothing as long as it is no outcome', () => {
    const received: DeliveryState = { type: 'received', sectionNumber: 0, sectionOffset: 0n };
    assert.deepEqual(settlements(received, false), { asked: [], heard: [] });
    assert.deepEqual(settlements(undefined, false), { asked: [], heard: [] });
  });

  it('is the default outcome where it settles without one', () => {
    assert.deepEqual(settlements(undefined).asked, ['settle 7 modified {"deliveryFailed":true,"undeliverableHere":false}']);
    const source = { type: 'source', address: 'a', defaultOutcome: acceptedState } as const;
    assert.deepEqual(settlements(undefined, true, { source }).asked, ['settle 7 accepted']);
  });

  it('is answered in runs', () => {
    const dialogue = receiving();
    for (const id of [1, 2, 3]) deliver(dialogue, id);
    dialogue.heard();
    dialogue.say(0, { type: 'disposition', role: 'receiver', first: 0, last: 2, settled: false, state: acceptedState });
    assert.deepEqual(dialogue.heard(), ['sender 0-2 settled accepted']);
    assert.deepEqual(dialogue.asked(), ['settle 1 accepted', 'settle 2 accepted', 'settle 3 accepted']);
    say(dialogue, 0, acceptedState);
    assert.deepEqual(dialogue.asked(), []);
    assert.equal(dialogue.server.counters.strayDispositions, 1);
  });
});

describe('exactly once', () => {
  it('is settled when the broker lets go, whoever has said it first', () => {
    for (const settled of [false, true]) {
      const dialogue = receiving({ rcvSettleMode: 1 });
      deliver(dialogue, 7, 2);
      dialogue.heard();
      say(dialogue, 0, acceptedState, settled);
      assert.deepEqual(dialogue.asked(), ['settle 7 received']);
      assert.deepEqual(dialogue.heard(), []);
      dialogue.fromBroker(({ consumer }) => consumer.releaseDelivery(7));
      assert.deepEqual(dialogue.heard(), settled ? [] : ['sender 0 settled accepted']);
      assert.deepEqual(dialogue.asked(), ['settle 7 accepted']);
    }
  });

  it('is given back like any other', () => {
    const dialogue = receiving({ rcvSettleMode: 1 });
    deliver(dialogue, 7, 2);
    dialogue.heard();
    say(dialogue, 0, releasedState, false);
    assert.deepEqual(dialogue.asked(), ['settle 7 released']);
    assert.deepEqual(dialogue.heard(), ['sender 0 settled released']);
  });
});

describe('in a transaction', () => {
  class FakeTransaction implements Transaction {
    readonly calls: string[] = [];
    publish(): Outcome {
      return Outcome.accepted;
    }
    settle(_session: unknown, deliveryId: number, settlement: Settlement, _detail?: SettlementDetail): boolean {
      this.calls.push(`${deliveryId} ${settlement}`);
      return true;
    }
    commit(answer: (outcome: Outcome) => void): void {
      answer(Outcome.accepted);
    }
    rollback(): void {
      this.calls.push('rollback');
    }
  }

  function begun(settled: boolean) {
    const dialogue = receiving();
    deliver(dialogue, 7);
    dialogue.heard();
    const transaction = new FakeTransaction();
    const connectionSession = dialogue.broker.sessions[0] as FakeSession;
    connectionSession.script.begin = transaction;
    dialogue.say(0, frames.senderAttach({ name: 'c', handle: 1, target: { type: 'coordinator' } }));
    const declare = Buffer.from([0, 0x53, 0x77, 0, 0x53, 0x31, 0x45]);
    dialogue.send(
      frames.frame(0, { type: 'transfer', handle: 1, deliveryId: 0, deliveryTag: Buffer.from('d'), messageFormat: 0 }, declare),
    );
    const declared = dialogue.frames().find((each) => each.type === 'disposition');
    const state = declared?.type === 'disposition' ? declared.state : undefined;
    assert.ok(state?.type === 'declared');
    const { txnId } = state;
    dialogue.asked();
    say(dialogue, 0, { type: 'transactional-state', txnId, outcome: acceptedState }, settled);
    assert.deepEqual(transaction.calls, ['7 accepted']);
    assert.deepEqual([dialogue.asked(), dialogue.heard()], [[], []]);
    const discharge = (fail: boolean) => {
      const id = Buffer.from(txnId);
      const body = Buffer.concat([
        Buffer.from([0, 0x53, 0x77, 0, 0x53, 0x32, 0xc0, id.length + 4, 2, 0xa0, id.length]),
        id,
        Buffer.from([fail ? 0x41 : 0x42]),
      ]);
      dialogue.send(frames.frame(0, { type: 'transfer', handle: 1, deliveryId: 1, deliveryTag: Buffer.from('e'), messageFormat: 0 }, body));
    };
    return { dialogue, transaction, discharge };
  }

  it('is settled with it', () => {
    const { dialogue, discharge } = begun(false);
    discharge(false);
    assert.ok(dialogue.heard().includes('sender 0 settled accepted'));
  });

  it('is unsettled again when it comes to nothing; given back, if the peer has forgotten it', () => {
    const kept = begun(false);
    kept.discharge(true);
    assert.deepEqual(kept.transaction.calls, ['7 accepted', 'rollback']);
    say(kept.dialogue, 0, acceptedState);
    assert.deepEqual(kept.dialogue.asked(), ['settle 7 accepted']);
    const forgotten = begun(true);
    forgotten.discharge(true);
    // The attempt counts.
    assert.deepEqual(forgotten.dialogue.asked(), ['settle 7 modified {"deliveryFailed":true,"undeliverableHere":false}']);
  });

  it('that does not exist ends the link, but not its terminus', () => {
    const dialogue = receiving({ source: { type: 'source', address: 'a', expiryPolicy: 'never' } });
    deliver(dialogue, 7);
    dialogue.heard();
    say(dialogue, 0, { type: 'transactional-state', txnId: Buffer.from('nope'), outcome: acceptedState });
    assert.deepEqual(dialogue.heard(), ['detach 0 amqp:transaction:unknown-id']);
    assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/out/link expiry=Infinity']);
  });
});

describe('the end of a receiving link', () => {
  const forEver = { source: { type: 'source', address: 'a', expiryPolicy: 'never' } } as const;

  it('keeps its terminus as long as it was asked to, or ends it', () => {
    const detached = receiving(forEver);
    detached.say(0, { type: 'detach', handle: 0, closed: false });
    assert.deepEqual(detached.asked(), ['detach $amqp/peer/out/link expiry=Infinity']);
    assert.deepEqual(detached.heard(), ['detach 0']);
    const closed = receiving(forEver);
    closed.say(0, { type: 'detach', handle: 0, closed: true });
    assert.deepEqual(closed.asked(), ['detach $amqp/peer/out/link expiry=0']);
    const lost = receiving(forEver);
    lost.lose();
    assert.ok(lost.asked().includes('detach $amqp/peer/out/link expiry=Infinity'));
    const ended = receiving(forEver);
    ended.say(0, { type: 'end' });
    assert.deepEqual(ended.asked(), ['detach $amqp/peer/out/link expiry=Infinity']);
  });

  it('says why the broker has ended it', () => {
    const reasons = { takenOver: 'detach 0 closed amqp:link:stolen', administrative: 'detach 0 closed amqp:link:detach-forced' } as const;
    for (const [reason, words] of Object.entries(reasons)) {
      const dialogue = receiving();
      dialogue.session.expel(reason as keyof typeof reasons);
      assert.deepEqual(dialogue.heard(), [words]);
    }
  });

  it('comes when it has no right to what it is attached to any more', () => {
    const dialogue = receiving(forEver);
    dialogue.fromBroker(({ consumer }) => consumer.revoked!(['something else']));
    assert.deepEqual(dialogue.heard(), []);
    dialogue.fromBroker(({ consumer }) => consumer.revoked!(['a']));
    assert.deepEqual(dialogue.heard(), ['detach 0 closed amqp:unauthorized-access']);
    assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/out/link expiry=0']);
  });

  it('gives back the temporary queue that was made for it, and none that was made for its connection', () => {
    const source = { type: 'source', dynamic: true } as const;
    const own = receiving({ source });
    own.say(0, { type: 'detach', handle: 0, closed: true });
    assert.deepEqual(own.asked(), ['remove temporary tmp-1', 'detach $amqp/peer/out/link expiry=0']);
    const policy = { type: 'described', descriptor: { type: 'ulong', value: 0x2cn }, value: { type: 'list', value: [] } } as const;
    const shared = receiving({ source: { ...source, dynamicNodeProperties: new Map([['lifetime-policy', policy]]) } });
    shared.say(0, { type: 'detach', handle: 0, closed: true });
    assert.deepEqual(shared.asked(), ['detach $amqp/peer/out/link expiry=0']);
  });

  it('ends a shared subscription for this member when it is closed, not when it is detached', () => {
    const source = {
      type: 'source',
      address: 'a',
      capabilities: ['topic', 'shared', 'global'],
      durable: 2,
      expiryPolicy: 'never',
    } as const;
    const closed = receiving({ name: 'sub|global', source });
    closed.say(0, { type: 'detach', handle: 0, closed: true });
    assert.deepEqual(closed.asked(), ['unsubscribe $share/sub/a', 'detach $amqp/peer/out/sub|global expiry=0']);
    const detached = receiving({ name: 'sub|global', source });
    detached.say(0, { type: 'detach', handle: 0 });
    assert.deepEqual(detached.asked(), ['detach $amqp/peer/out/sub|global expiry=0']);
  });
});
