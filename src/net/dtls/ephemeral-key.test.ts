import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandshakeEnd } from './alert.ts';
import { newEphemeralKey } from './ephemeral-key.ts';
import { groupNames } from './suites.ts';

for (const group of groupNames) {
  test(`both halves on ${group} come to the same secret`, () => {
    const [one, other] = [newEphemeralKey(group), newEphemeralKey(group)];
    assert.deepEqual(one.sharedWith(other.publicBytes), other.sharedWith(one.publicBytes));
  });

  test(`on ${group} what is no half of an exchange is refused`, () => {
    const key = newEphemeralKey(group);
    const { length } = key.publicBytes;
    const compressed = Buffer.concat([Buffer.of(2 + (key.publicBytes.at(-1)! & 1)), key.publicBytes.subarray(1, 1 + (length - 1) / 2)]);
    for (const bad of [new Uint8Array(), new Uint8Array(length), Buffer.alloc(length, 4), key.publicBytes.subarray(1), compressed]) {
      // Any 32 bytes but those of small order are a key of X25519.
      if (group === 'x25519' && bad.length === 32 && bad[0] !== 0) continue;
      assert.throws(() => key.sharedWith(bad), HandshakeEnd);
    }
  });
}
