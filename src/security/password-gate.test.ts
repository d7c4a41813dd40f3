import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PasswordGate } from './password-gate.ts';

/** Work that ends when the test says so. */
function controlled(): { work: () => Promise<void>; started: () => boolean; end: () => Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let started = false;
  return {
    work: () => {
      started = true;
      return promise;
    },
    started: () => started,
    end: async () => {
      resolve();
      await new Promise(setImmediate);
    },
  };
}

test('so many run, so many wait, the rest is turned away', async () => {
  const gate = new PasswordGate({ running: 1, waiting: 2, waitingPerAddress: 2 });
  const [a, b, c, d] = [controlled(), controlled(), controlled(), controlled()] as const;
  assert.deepEqual(
    [a, b, c, d].map((one) => gate.enter('x', one.work)),
    [true, true, true, false],
  );
  assert.deepEqual([gate.running, gate.waiting], [1, 2]);
  assert.deepEqual([a.started(), b.started()], [true, false]);
  await a.end();
  assert.deepEqual([b.started(), c.started()], [true, false]);
  assert.equal(gate.enter('x', d.work), true, 'there is room again');
  await b.end();
  await c.end();
  await d.end();
  assert.deepEqual([gate.running, gate.waiting], [0, 0]);
});

test('one address does not take the whole line', async () => {
  const gate = new PasswordGate({ running: 1, waiting: 10, waitingPerAddress: 1 });
  const all = [controlled(), controlled(), controlled(), controlled()] as const;
  assert.deepEqual(
    [gate.enter('x', all[0].work), gate.enter('x', all[1].work), gate.enter('x', all[2].work), gate.enter('y', all[3].work)],
    [true, true, false, true],
  );
  for (const one of all) await one.end();
  assert.equal(gate.running, 0);
});
