import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../broker/port.ts';
import { InboundAliases, OutboundAliases } from './topic-aliases.ts';
import { KnownTopic } from './topic-cache.ts';

function known(topic: string): KnownTopic {
  const topicBytes = Buffer.from(topic);
  return new KnownTopic(0, { topic, topicBytes, outcome: Outcome.accepted }, 1);
}

test('inbound: every alias up to the maximum may be set and set again, no other', () => {
  const aliases = new InboundAliases(3);
  assert.deepEqual(
    [0, 1, 3, 4].map((alias) => aliases.allows(alias)),
    [false, true, true, false],
  );
  assert.equal(aliases.topic(3), undefined);
  aliases.set(3, known('a'));
  aliases.set(1, known('b'));
  assert.equal(aliases.topic(3)?.address.topic, 'a');
  assert.equal(aliases.topic(2), undefined);
  aliases.set(3, known('c'));
  assert.equal(aliases.topic(3)?.address.topic, 'c');
  assert.equal(aliases.topic(1)?.address.topic, 'b');
});

test('inbound: none at all with a maximum of 0', () => {
  assert.equal(new InboundAliases(0).allows(1), false);
});

test('outbound: aliases are given to the first topics and never beyond the maximum', () => {
  const aliases = new OutboundAliases(2);
  assert.equal(aliases.known('a'), 0);
  assert.equal(aliases.free(), 1);
  assert.equal(aliases.free(), 1, 'not taken before it is set');
  aliases.set('a', 1);
  aliases.set('b', aliases.free());
  assert.equal(aliases.free(), 0);
  assert.equal(aliases.known('a'), 1);
  assert.equal(aliases.known('b'), 2);
  assert.equal(aliases.known('c'), 0);
});
