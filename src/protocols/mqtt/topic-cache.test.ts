import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Outcome } from '../../broker/port.ts';
import { hashOf, KnownTopic, TopicCache } from './topic-cache.ts';

function known(topic: string): KnownTopic {
  const topicBytes = Buffer.from(topic);
  return new KnownTopic(hashOf(topicBytes, 0, topicBytes.length), { topic, topicBytes, outcome: Outcome.accepted }, 1);
}

function find(cache: TopicCache, topic: string): KnownTopic | undefined {
  const bytes = Buffer.from(`<<${topic}>`);
  return cache.find(bytes, 2, bytes.length - 1);
}

test('a topic is found by its bytes within a larger buffer', () => {
  const cache = new TopicCache(8);
  const topic = known('sensors/1/temperature');
  cache.remember(topic);
  assert.equal(find(cache, 'sensors/1/temperature'), topic);
  assert.equal(find(cache, 'sensors/2/temperature'), undefined);
  assert.equal(find(cache, 'sensors/1/temperatur'), undefined);
  cache.forgetAll();
  assert.equal(find(cache, 'sensors/1/temperature'), undefined);
});

test('never returns another topic than the one asked for, however full', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 300 }), fc.constantFrom(1, 2, 64), (topics, slots) => {
      const cache = new TopicCache(slots);
      for (const topic of topics) {
        const found = find(cache, topic);
        if (found === undefined) cache.remember(known(topic));
        else assert.equal(found.address.topic, topic);
        assert.equal(find(cache, topic)?.address.topic, topic, 'the last one is always remembered');
      }
    }),
  );
});

test('grows until the topics of a gateway fit', () => {
  const cache = new TopicCache(256);
  const topics = Array.from({ length: 60 }, (_, i) => `building/floor-${i % 5}/room-${i}/temperature`);
  for (let round = 0; round < 20; round++) for (const topic of topics) if (!find(cache, topic)) cache.remember(known(topic));
  const missed = topics.filter((topic) => find(cache, topic) === undefined);
  assert.ok(missed.length < topics.length / 3, `${missed.length} of ${topics.length} not found`);
});
