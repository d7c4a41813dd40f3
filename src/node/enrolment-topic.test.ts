import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Message, defaultPriority } from '../message/message.ts';
import { TestBroker } from '../broker/testing/test-broker.ts';
import { done, fault } from '../security/pki/enrolment/enrolment.ts';
import type { HolderOf } from '../security/pki/enrolment/certificate-holder.ts';
import { openedDesk } from '../security/pki/enrolment/testing/desk.ts';
import { madeRequest, requestPem } from '../security/pki/enrolment/testing/made-request.ts';
import { must } from '../security/pki/testing/opened-registry.ts';
import type { Access, Principal } from '../security/security.ts';
import { enrolmentTopic, type EnrolmentTopicOptions } from './enrolment-topic.ts';

const text = new TextEncoder();
const certificate = { commonName: 'pump-1', uris: [], fingerprint: 'ab' };
const access: Access = { listener: 'mqtts', remoteAddress: '127.0.0.1', secure: true, method: 'certificate', certificate };
const pump: Principal = { tenant: 'main', id: 'pump-1', kind: 'device', roles: [], access };

async function bench(t: TestContext, changes: Partial<EnrolmentTopicOptions> = {}) {
  const opened = await openedDesk(t);
  must(await opened.registry.create('device', 'main', 'pump-1', {}));
  const broker = await TestBroker.start();
  const failures: unknown[] = [];
  let answered = 0;
  const holderOf: HolderOf = () =>
    Promise.resolve(done({ tenant: 'main', owner: { kind: 'device', id: 'pump-1' }, method: 'certificate' }));
  broker.broker.services.register(
    enrolmentTopic({
      desk: opened.desk,
      holderOf,
      allowed: () => 'certificate',
      limits: () => ({ maxInFlight: 2, maxPayloadBytes: 10_000 }),
      send({ principal, correlation }, { topic, payload, contentType }) {
        answered++;
        broker.broker.services.answer(principal, topic, payload, { contentType, ...(correlation === undefined ? {} : { correlation }) });
      },
      failed: (error) => failures.push(error),
      ...changes,
    }),
  );
  const device = (principal: Principal) => {
    const consumer = broker.connect(`of ${principal.id}`, { principal });
    consumer.subscribe(`$enrol/${principal.id}/response`);
    return consumer;
  };
  /** Publishes and waits for the answer, wherever it goes. */
  const ask = async (
    consumer: ReturnType<typeof device>,
    topic: string,
    payload: Uint8Array | string,
    replyTo?: string,
  ): Promise<number> => {
    const before = answered;
    const bytes = Buffer.from(payload);
    const attributes = replyTo === undefined ? undefined : ({ replyTo: { kind: 'topic', name: replyTo } } as const);
    const question = new Message(topic, text.encode(topic), bytes, 0, bytes.length, 1, false, defaultPriority, 0, 0, 'x', attributes);
    const outcome = consumer.session!.publish(consumer.session!.address(topic, text.encode(topic)), question, 1);
    while (answered === before) await new Promise(setImmediate);
    return outcome;
  };
  const wordOf = (payload: string | undefined): string => (JSON.parse(payload ?? '{}') as { code: string }).code;
  return { ...opened, broker, failures, device, ask, wordOf };
}

test('who is connected by a certificate renews it, by DER or PEM, and is answered where it listens', async (t) => {
  const { device, ask, pki } = await bench(t);
  const own = device(pump);
  const der = madeRequest('pump-1');
  await ask(own, '$enrol/pump-1/request', der);
  await ask(own, '$enrol/pump-1/request', requestPem(der));
  assert.equal(own.payloads.length, 2);
  for (const payload of own.payloads) assert.match(payload, /^-----BEGIN CERTIFICATE-----\n/);
  own.subscribe('any/where');
  await ask(own, '$enrol/pump-1/request', der, 'any/where');
  assert.equal(own.deliveries[2]!.topic, 'any/where');
  assert.deepEqual(
    pki.requests.map(({ owner, from }) => [owner.id, from]),
    Array.from({ length: 3 }, () => ['pump-1', '127.0.0.1']),
  );
});

test('what goes wrong is said in JSON', async (t) => {
  const { device, ask, wordOf, pki } = await bench(t);
  const own = device(pump);
  const last = (): string => wordOf(own.payloads.at(-1));
  await ask(own, '$enrol/pump-1/request', 'nonsense');
  assert.equal(last(), 'malformed');
  await ask(own, '$enrol/pump-1/request', madeRequest('pump-2'));
  assert.equal(last(), 'foreign-name');
  for (const topic of ['$enrol/pump-2/request', '$enrol/pump-1/response', '$enrol/pump-1', '$enrol', '$enrol/pump-1/request/x']) {
    await ask(own, topic, madeRequest('pump-1'));
    assert.equal(last(), 'foreign-name', topic);
  }
  assert.deepEqual(Object.keys(JSON.parse(own.payloads.at(-1)!) as object), ['code', 'message', 'field']);
  pki.fault = 'unavailable';
  await ask(own, '$enrol/pump-1/request', madeRequest('pump-1'));
  assert.equal(last(), 'unavailable');
});

test('nobody else hears the answer, and nobody asks for somebody else', async (t) => {
  const { device, ask, wordOf, pki } = await bench(t);
  const own = device(pump);
  const spy = device({ ...pump, id: 'spy', roles: ['admin'] });
  spy.subscribe('$enrol/#');
  await ask(own, '$enrol/pump-1/request', madeRequest('pump-1'));
  assert.deepEqual([own.payloads.length, spy.payloads.length], [1, 0]);
  await ask(spy, '$enrol/pump-1/request', madeRequest('pump-1'));
  assert.equal(wordOf(spy.payloads[0]), 'foreign-name');
  assert.equal(pki.requests.length, 1);
  // A certificate that turns out to be another's.
  await ask(spy, '$enrol/spy/request', madeRequest('spy'), '$enrol/spy/response');
  assert.equal(wordOf(spy.payloads.at(-1)), 'wrong-certificate');
});

test('who has shown no certificate may ask only where that is allowed', async (t) => {
  let allowed: 'off' | 'certificate' | 'any' = 'certificate';
  const { device, ask, wordOf } = await bench(t, { allowed: () => allowed });
  const byPassword = device({ ...pump, access: { ...access, method: 'password', certificate: undefined } });
  const answer = async (consumer = byPassword): Promise<string> => {
    await ask(consumer, `$enrol/${consumer.session!.clientId.slice(3)}/request`, madeRequest([]));
    return consumer.payloads.at(-1)!;
  };
  assert.equal(wordOf(await answer()), 'not-allowed');
  allowed = 'any';
  assert.match(await answer(), /BEGIN CERTIFICATE/);
  const nobody = device({ tenant: 'main', id: 'nobody', kind: 'anonymous', roles: [], access: { ...access, method: 'anonymous' } });
  assert.equal(wordOf(await answer(nobody)), 'not-allowed');
  allowed = 'off';
  assert.equal(wordOf(await answer()), 'not-enabled');
});

test('a certificate that has been revoked since is not renewed, and a fault of ours is told to the log', async (t) => {
  const revoked = await bench(t, { holderOf: () => Promise.resolve(fault('wrong-certificate', 'revoked')) });
  const own = revoked.device(pump);
  await revoked.ask(own, '$enrol/pump-1/request', madeRequest('pump-1'));
  assert.equal(revoked.wordOf(own.payloads[0]), 'wrong-certificate');
  const broken = await bench(t, { holderOf: () => Promise.reject(new Error('bug')) });
  const other = broken.device(pump);
  await broken.ask(other, '$enrol/pump-1/request', madeRequest('pump-1'));
  assert.equal(broken.wordOf(other.payloads[0]), 'unavailable');
  assert.equal(broken.failures.length, 1);
  const [service] = broken.broker.broker.services.open;
  assert.equal(service!.inFlight, 0);
});
