import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf, payloadOf } from './payload.ts';

test('a payload says who it is, and a changed byte shows', () => {
  for (const bytes of [0, 1, 20, 500, 60_000]) {
    const payload = payloadOf('pub5#17', bytes);
    assert.ok(payload.length >= bytes);
    assert.equal(keyOf(payload), 'pub5#17');
    for (const at of [0, 5, payload.length >> 1, payload.length - 1]) {
      const changed = Buffer.from(payload);
      changed[at]! ^= 1;
      assert.notEqual(keyOf(changed), 'pub5#17', `byte ${at} of ${payload.length}`);
    }
    assert.equal(keyOf(payload.subarray(0, -1)), undefined);
    assert.equal(keyOf(Buffer.concat([payload, payload])), undefined);
  }
});
