import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Message, defaultPriority } from '../../message/message.ts';
import type { Guarantee } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import { Outcome } from '../port.ts';
import type { Service, ServiceRequest } from './service-topics.ts';
import { TestBroker, message } from '../testing/test-broker.ts';

const text = new TextEncoder();
const pump: Principal = { tenant: 'main', id: 'pump', kind: 'device', roles: [] };
const valve: Principal = { ...pump, id: 'valve' };

type Asked = { readonly request: ServiceRequest; readonly done: () => void };

async function started(changes: Partial<Service> = {}): Promise<{ t: TestBroker; asked: Asked[] }> {
  const t = await TestBroker.start();
  const asked: Asked[] = [];
  t.broker.services.register({
    firstLevel: '$ask',
    maxInFlight: 2,
    maxPayloadBytes: 10,
    handle: (request, done) => asked.push({ request, done }),
    ...changes,
  });
  return { t, asked };
}

test('a publish below the first level goes to the handler and to nobody else', async () => {
  const { t, asked } = await started();
  const a = t.connect('a', { principal: pump });
  const spy = t.connect('b', { principal: valve });
  spy.subscribe('$ask/#');
  const buffer = text.encode('..why..');
  const attributes = { replyTo: { kind: 'topic', name: 'x/y' }, correlation: { type: 'string', value: '7' } } as const;
  const topic = '$ask/pump/request';
  const question = new Message(topic, text.encode(topic), buffer, 2, 5, 1, true, defaultPriority, 0, 0, 'pump', attributes);
  const address = a.session!.address(topic, text.encode(topic));
  assert.equal(a.session!.publish(address, question, 1), Outcome.accepted);
  buffer.fill(0);
  assert.deepEqual(
    asked.map(({ request }) => ({ ...request, payload: Buffer.from(request.payload).toString() })),
    [
      {
        principal: pump,
        clientId: 'a',
        remoteAddress: '127.0.0.1',
        topic,
        payload: 'why',
        replyTo: 'x/y',
        correlation: { type: 'string', value: '7' },
      },
    ],
  );
  assert.deepEqual(spy.payloads, []);
  assert.equal(t.broker.space('main').retained.count, 0, 'a question is no last value');
  // The name of the level alone is the service's too, a longer one is not.
  assert.equal(a.publish('$ask', 'x', 0), Outcome.accepted);
  assert.equal(a.publish('$asking/pump', 'x', 0), Outcome.noSubscribers);
  assert.equal(asked.length, 2);
});

test('what is in flight is bounded, and done makes room once', async () => {
  const { t, asked } = await started();
  const a = t.connect('a', { principal: pump });
  const outcomes = (guarantee: Guarantee, payload = 'x'): Outcome => a.publish('$ask/1', payload, guarantee);
  assert.equal(outcomes(1, 'longer than ten'), Outcome.tooLarge);
  assert.equal(outcomes(2), Outcome.notSupported);
  assert.deepEqual([outcomes(1), outcomes(0), outcomes(1)], [Outcome.accepted, Outcome.accepted, Outcome.quotaExceeded]);
  asked[0]!.done();
  asked[0]!.done();
  assert.deepEqual([outcomes(1), outcomes(1)], [Outcome.accepted, Outcome.quotaExceeded]);
  const [open] = t.broker.services.open;
  assert.deepEqual([open!.counters.taken, open!.counters.refused, open!.inFlight], [3, 4, 2]);
});

test('an answer reaches only sessions of the same principal and tenant', async () => {
  const { t } = await started();
  const own = t.connect('a', { principal: pump });
  const second = t.connect('a2', { principal: { ...pump, roles: ['x'] } });
  const other = t.connect('b', { principal: valve });
  const elsewhere = t.connect('a', { principal: { ...pump, tenant: 'two' } });
  const gone = t.connect('c', { principal: pump, sessionExpiryMs: 1000 });
  for (const one of [own, second, other, elsewhere, gone]) one.subscribe('$ask/pump/response');
  t.settle();
  gone.session!.detach(false);
  own.subscribe('$ask/+/response', 1, { subscriptionId: 3 });
  assert.equal(t.broker.services.answer(pump, '$ask/pump/response', text.encode('because')), 2);
  assert.deepEqual(
    [own, second, other, elsewhere, gone].map(({ payloads }) => payloads),
    [['because'], ['because'], [], [], []],
  );
  assert.deepEqual(own.deliveries[0]!.ids, [3]);
  other.subscribe('$ask/pump/response');
  assert.deepEqual(other.payloads, [], 'an answer is not kept');
});

test('a will is no question', async () => {
  const { t } = await started();
  const will = { message: message('$ask/pump', 'x'), delayMs: 0 };
  assert.equal(t.connect('a', { principal: pump, will }).outcome, Outcome.notAuthorized);
});
