import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check } from './checkers.ts';
import { Facts } from './facts.ts';
import type { Received, SentMessage, SubscriberFacts, TransactionFacts } from './facts.ts';
import { runSeed } from './scenario.ts';

const seedsInUnitTests = 200;
const mixedSeedsInUnitTests = 60;
const coapSeedsInUnitTests = 40;

describe('histories', () => {
  test(`${seedsInUnitTests} of them hold every promise`, async () => {
    let crashes = 0;
    let received = 0;
    for (let seed = 1; seed <= seedsInUnitTests; seed++) {
      const result = await runSeed(seed, seed % 2 === 0 ? 8 : 1);
      assert.deepEqual(result.problems, [], `replay: npm run sim -- --seed ${seed} --seeds 1 --shards ${seed % 2 === 0 ? 8 : 1}`);
      crashes += result.crashes;
      received += result.received;
    }
    // They were histories in which something happened.
    assert.ok(crashes > seedsInUnitTests, `${crashes} power cuts`);
    assert.ok(received > seedsInUnitTests * 500, `${received} messages`);
  });

  test(`${mixedSeedsInUnitTests} of MQTT and AMQP together hold every promise`, async () => {
    let received = 0;
    for (let seed = 1; seed <= mixedSeedsInUnitTests; seed++) {
      const shards = seed % 2 === 0 ? 8 : 1;
      const result = await runSeed(seed, shards, { amqp: true });
      assert.deepEqual(result.problems, [], `replay: npm run sim -- --seed ${seed} --seeds 1 --shards ${shards} --cast amqp`);
      received += result.received;
    }
    assert.ok(received > mixedSeedsInUnitTests * 3000, `${received} messages`);
  });

  test(`${coapSeedsInUnitTests} of MQTT and CoAP over a lossy network hold every promise`, async () => {
    let received = 0;
    for (let seed = 1; seed <= coapSeedsInUnitTests; seed++) {
      const shards = seed % 2 === 0 ? 8 : 1;
      const result = await runSeed(seed, shards, { coap: true });
      assert.deepEqual(result.problems, [], `replay: npm run sim -- --seed ${seed} --seeds 1 --shards ${shards} --cast coap`);
      received += result.received;
    }
    assert.ok(received > coapSeedsInUnitTests * 2000, `${received} messages`);
  });

  test('the same seed gives the same history', async () => {
    assert.deepEqual(await runSeed(77, 1), await runSeed(77, 1));
    assert.deepEqual(await runSeed(77, 8, { amqp: true, coap: true }), await runSeed(77, 8, { amqp: true, coap: true }));
  });

  test('a disk that lies is found out', async () => {
    const problems: string[] = [];
    for (let seed = 1; seed <= 20; seed++) problems.push(...(await runSeed(seed, 1, { lyingDisk: true })).problems);
    assert.ok(
      problems.some((problem) => problem.startsWith('LOST')),
      'acknowledged messages went missing, and nobody noticed',
    );
  });
});

describe('each checker finds its fault', () => {
  const sent = (key: string, options: Partial<SentMessage> = {}): SentMessage => ({
    key,
    publisher: 'p',
    topic: 't/a',
    sequence: Number(key),
    qos: 2,
    retain: false,
    sentAtMs: 10,
    acknowledgedAtMs: 20,
    attempts: 1,
    refused: false,
    ...options,
  });
  const got = (key: string, options: Partial<Received> = {}): Received => ({
    key,
    topic: 't/a',
    qos: 2,
    dup: false,
    connection: 1,
    atMs: 30,
    ...options,
  });
  const problemsOf = (
    messages: SentMessage[],
    received: Received[],
    options: Partial<SubscriberFacts> = {},
    transactions: readonly TransactionFacts[] = [],
  ): string[] => {
    const facts = new Facts();
    facts.transactions.push(...transactions);
    for (const message of messages) facts.sent.set(message.key, message);
    const base = { clientId: 's', version: 5, filter: 't/#', qos: 2, durable: true, group: undefined, subscribedAtMs: 1 } as const;
    facts.subscribers.push({ ...base, received, ...options });
    return check(facts, 0).map((problem) => problem.split(':')[0]!);
  };

  const cases: readonly [string, string[], SentMessage[], Received[], Partial<SubscriberFacts>?][] = [
    ['nothing wrong', [], [sent('1'), sent('2')], [got('1'), got('2')]],
    ['lost', ['LOST'], [sent('1'), sent('2')], [got('1')]],
    ['not acknowledged, so not lost', [], [sent('1', { acknowledgedAtMs: undefined })], []],
    ['sent before the subscription, so not lost', [], [sent('1')], [], { subscribedAtMs: 15 }],
    ['lost to a group', ['LOST'], [sent('1')], [], { group: 'g' }],
    ['lost to a group that ended with its last member, so not lost', [], [sent('1')], [], { group: 'g', cutAtMs: 5 }],
    ['repeated', ['REPEATED'], [sent('1')], [got('1'), got('1')]],
    ['repeated in a group', ['REPEATED', 'REPEATED'], [sent('1')], [got('1'), got('1')], { group: 'g' }],
    ['repeated at QoS 1, as it may be', [], [sent('1', { qos: 1 })], [got('1', { qos: 1 }), got('1', { qos: 1 })]],
    ['invented', ['INVENTED'], [], [got('1')]],
    ['on another topic', ['INVENTED'], [sent('1', { topic: 't/b', acknowledgedAtMs: undefined })], [got('1')]],
    ['astray', ['ASTRAY'], [sent('1', { topic: 'x' })], [got('1', { topic: 'x' })]],
    ['refused', ['REFUSED'], [sent('1', { refused: true, acknowledgedAtMs: undefined })], [got('1')]],
    ['forbidden', ['FORBIDDEN'], [sent('1', { topic: 'secret/x' })], [got('1', { topic: 'secret/x' })], { filter: 'secret/#' }],
    ['delivered after the right to it was lost', ['CUT'], [sent('1')], [got('1')], { cutAtMs: 5 }],
    ['delivered before that', [], [sent('1'), sent('2')], [got('1')], { cutAtMs: 15 }],
    ['not what the selector selects', ['UNASKED'], [sent('1', { color: 'green' })], [got('1')], { color: 'red' }],
    ['not selected, so not lost', [], [sent('1', { color: 'green' })], [], { color: 'red' }],
    ['before it was due', ['EARLY'], [sent('1', { dueAtMs: 50 })], [got('1', { wallMs: 49 })]],
    [
      'a message group out of order',
      ['GROUP'],
      [sent('1', { messageGroup: 'm' }), sent('2', { messageGroup: 'm' })],
      [got('2'), got('1', { atMs: 40 })],
      { group: 'g' },
    ],
    ['out of order', ['ORDER'], [sent('1'), sent('2')], [got('2'), got('1')]],
  ];
  for (const [name, owed, otherSubscribedAtMs] of [
    ['the other member was there when one lost its rights', true, 4],
    ['the other member came when the group had ended', false, 12],
    ['the other member came after that, and before the message', true, 7],
  ] as const) {
    test(`a group of which ${name}`, () => {
      const facts = new Facts();
      facts.sent.set('1', sent('1'));
      const member = { version: 5, filter: 't/#', qos: 2, durable: true, group: 'g', received: [] } as const;
      facts.subscribers.push({ ...member, clientId: 'cut', subscribedAtMs: 1, cutAtMs: 5, received: [] });
      facts.subscribers.push({ ...member, clientId: 'other', subscribedAtMs: otherSubscribedAtMs, received: [] });
      assert.equal(check(facts, 0).length, owed ? 1 : 0);
    });
  }
  for (const [name, expected, messages, received, options] of cases) {
    test(name, () => assert.deepEqual(problemsOf(messages, received, options), expected));
  }

  for (const [name, expected, fate, arrived] of [
    ['that was rolled back and arrived', ['ROLLED BACK'], 'rolledBack', ['1', '2']],
    ['that was rolled back', [], 'rolledBack', []],
    ['of which nobody knows, and a half arrived', ['HALF'], 'unknown', ['2']],
    ['of which nobody knows, and all arrived', [], 'unknown', ['1', '2']],
  ] as const) {
    test(`a transaction ${name}`, () => {
      const messages = ['1', '2'].map((key) => sent(key, { acknowledgedAtMs: undefined }));
      const received = arrived.map((key) => got(key));
      assert.deepEqual([...new Set(problemsOf(messages, received, {}, [{ keys: ['1', '2'], fate }]))], expected);
    });
  }
});
