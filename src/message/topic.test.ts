import assert from 'node:assert/strict';
import { test } from 'node:test';
import { levelCount, topicProblem } from './topic.ts';

test('a topic is any text of 1 to 65,535 bytes without NUL and wildcards', () => {
  for (const good of ['a', '/', '//', ' ', '$SYS/x', 'a.*.>', '😀', '€'.repeat(21_845)]) assert.equal(topicProblem(good), undefined, good);
  for (const bad of ['', 'a+', '+', '#', 'a/#', 'a\0b', '\udc00', '€'.repeat(21_846)]) assert.equal(typeof topicProblem(bad), 'string');
});

test('the depth of a topic is limited', () => {
  assert.equal(topicProblem('a/b', 2), undefined);
  assert.match(topicProblem('a/b/', 2)!, /more than 2 levels/);
  assert.match(topicProblem('//', 2)!, /more than 2 levels/, 'as many separators as levels');
  assert.equal(levelCount('//'), 3);
});
