import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import type { Caller } from './api/caller.ts';
import { localCaller } from './api/caller.ts';
import { Standing } from './standing.ts';

class FakeResponse extends EventEmitter {
  destroyed = false;
  writableFinished = false;

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }

  get response(): ServerResponse {
    return this as unknown as ServerResponse;
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function callerWho(again: () => Promise<Caller | undefined>, untilMs?: number): Caller {
  return { ...localCaller, standing: { again, untilMs } };
}

test('an answer ends when who asked is not let in any more, and not before', async () => {
  const standing = new Standing(new ManualClock(0), silentLog);
  const answer = new FakeResponse();
  let isIn = true;
  standing.watch(
    answer.response,
    callerWho(async () => (isIn ? localCaller : undefined)),
  );
  for (let i = 0; i < 2; i++) {
    standing.look();
    await settled();
    assert.equal(answer.destroyed, false);
  }
  isIn = false;
  standing.look();
  await settled();
  assert.equal(answer.destroyed, true);
  assert.equal(standing.size, 0);
});

test('an answer ends when its permission is gone, or what was shown has ended', async () => {
  const clock = new ManualClock(0);
  const standing = new Standing(clock, silentLog);
  const [one, other] = [new FakeResponse(), new FakeResponse()];
  const reader = { ...localCaller, may: (permission: string) => permission === 'trace:read' };
  let now: Caller = reader;
  standing.watch(
    one.response,
    callerWho(async () => now),
    'trace:read',
  );
  standing.watch(
    other.response,
    callerWho(async () => reader, clock.wallMs() + 1000),
  );
  standing.look();
  await settled();
  assert.deepEqual([one.destroyed, other.destroyed], [false, false]);
  now = { ...reader, may: () => false };
  standing.look();
  await settled();
  assert.deepEqual([one.destroyed, other.destroyed], [true, false]);
  clock.advance(1000);
  standing.look();
  await settled();
  assert.equal(other.destroyed, true);
});

test('who cannot lose its standing, and an answer that is over, are not looked at', async () => {
  const standing = new Standing(new ManualClock(0), silentLog);
  const [local, over, leaving] = [new FakeResponse(), new FakeResponse(), new FakeResponse()];
  over.writableFinished = true;
  standing.watch(local.response, localCaller);
  standing.watch(over.response, callerWho(assert.fail));
  assert.equal(standing.size, 0);
  standing.watch(leaving.response, callerWho(assert.fail));
  assert.equal(standing.size, 1);
  leaving.destroy();
  assert.equal(standing.size, 0);
  standing.look();
});

test('a question without an answer is not asked twice, and a fault cuts nobody', async () => {
  const standing = new Standing(new ManualClock(0), silentLog);
  const answer = new FakeResponse();
  let asked = 0;
  const { promise, reject } = Promise.withResolvers<Caller | undefined>();
  standing.watch(
    answer.response,
    callerWho(() => (asked++, promise)),
  );
  standing.look();
  standing.look();
  assert.equal(asked, 1);
  reject(new Error('no answer'));
  await settled();
  assert.equal(answer.destroyed, false);
  standing.look();
  assert.equal(asked, 2);
  await settled();
  answer.destroy();
});
