import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { SeededRandom } from '../../base/random.ts';
import { aeadAlgorithms, hkdfAlgorithms } from './algorithms.ts';
import { SecurityContext, type ContextSettings } from './context.ts';
import { lastSequence, type ContextInput } from './derivation.ts';
import type { Acceptance, OpenedRequest, SealedRequest, SealedResponse } from './oscore.ts';
import { MemorySequenceStore, type SequenceState } from './sequence-store.ts';

const settings: ContextSettings = { stretch: 8, maxWaiting: 4, echoMs: 1000 };
const name = { tenant: 'main', principal: 'pump', contextId: 'c1' };
const server: ContextInput = {
  algorithm: aeadAlgorithms[0]!,
  hkdf: hkdfAlgorithms[0]!,
  masterSecret: Buffer.alloc(16, 7),
  masterSalt: Buffer.alloc(0),
  senderId: Buffer.from('s'),
  recipientId: Buffer.from('c'),
  idContext: undefined,
};
const device: ContextInput = { ...server, senderId: server.recipientId, recipientId: server.senderId };

/** Holds writes back until they are let through. */
class SlowStore extends MemorySequenceStore {
  readonly held: { readonly fingerprint: string; readonly state: SequenceState; readonly done: PromiseWithResolvers<void> }[] = [];
  readonly durable = new Map<string, SequenceState>();

  override put(fingerprint: string, state: SequenceState): Promise<void> {
    void super.put(fingerprint, state);
    const done = Promise.withResolvers<void>();
    this.held.push({ fingerprint, state, done });
    return done.promise;
  }

  async let(): Promise<void> {
    for (const { fingerprint, state, done } of this.held.splice(0)) {
      this.durable.set(fingerprint, state);
      done.resolve();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  async fail(): Promise<void> {
    for (const { done } of this.held.splice(0)) done.reject(new Error('full'));
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** What a process finds that starts after this one was killed. */
  afterCrash(): SlowStore {
    const next = new SlowStore();
    for (const [fingerprint, state] of this.durable) {
      next.states.set(fingerprint, state);
      next.durable.set(fingerprint, state);
    }
    return next;
  }
}

function open(store: MemorySequenceStore, input: ContextInput = server, clock = new ManualClock()): SecurityContext {
  return new SecurityContext(name, input, 32, settings, { store, clock, random: new SeededRandom(1) });
}

async function sealed(context: SecurityContext, plaintext: string): Promise<SealedRequest> {
  const { promise, resolve } = Promise.withResolvers<SealedRequest | undefined>();
  context.sealRequest(Buffer.from(plaintext), resolve);
  return (await promise)!;
}

function opened(context: SecurityContext, { kid, piv, ciphertext }: SealedRequest): OpenedRequest {
  const found = context.openRequest(kid, piv, ciphertext);
  assert.ok(typeof found === 'object', JSON.stringify(found));
  return found;
}

function accepted(context: SecurityContext, request: OpenedRequest, echo?: Uint8Array): { last: Acceptance | undefined } {
  const box: { last: Acceptance | undefined } = { last: undefined };
  context.accept(request, echo, (acceptance) => {
    assert.equal(box.last, undefined, 'answers once');
    box.last = acceptance;
  });
  return box;
}

function response(context: SecurityContext, request: OpenedRequest, own: boolean): { last: SealedResponse | undefined; times: number } {
  const box: { last: SealedResponse | undefined; times: number } = { last: undefined, times: 0 };
  context.sealResponse(request.binding, Buffer.from('ok'), own, (made) => {
    box.last = made;
    box.times++;
  });
  return box;
}

test('every algorithm seals requests and responses that the other side opens, and nothing else does', async () => {
  for (const algorithm of aeadAlgorithms) {
    for (const hkdf of hkdfAlgorithms) {
      const there = open(new MemorySequenceStore(), { ...device, algorithm, hkdf });
      const here = open(new MemorySequenceStore(), { ...server, algorithm, hkdf });
      const request = await sealed(there, 'hello');
      assert.equal(request.ciphertext.length, 5 + algorithm.tagBytes, algorithm.name);
      const arrived = opened(here, request);
      assert.equal(Buffer.from(arrived.plaintext).toString(), 'hello');
      for (const own of [false, true]) {
        const { promise, resolve } = Promise.withResolvers<SealedResponse | undefined>();
        here.sealResponse(arrived.binding, Buffer.from('ok'), own, resolve);
        const { piv, ciphertext } = (await promise)!;
        assert.equal(piv !== undefined, own);
        assert.equal(Buffer.from(there.openResponse(request.binding, piv, ciphertext)!).toString(), 'ok');
        const other = await sealed(there, 'other');
        assert.equal(there.openResponse(other.binding, piv, ciphertext), undefined, 'it belongs to its request');
        assert.equal(here.openResponse(request.binding, piv, ciphertext), undefined, 'nobody takes what is from itself');
        for (let i = 0; i < ciphertext.length; i++) {
          const bent = Buffer.from(ciphertext);
          bent[i]! ^= 1;
          assert.equal(there.openResponse(request.binding, piv, bent), undefined);
        }
      }
      assert.equal(here.openRequest(Buffer.from('x'), request.piv, request.ciphertext), 'decryption-failed');
      assert.equal(here.openRequest(request.kid, Uint8Array.of(9), request.ciphertext), 'decryption-failed');
      assert.equal(here.openRequest(request.kid, request.piv, request.ciphertext.subarray(0, 7)), 'decryption-failed');
    }
  }
});

test('a request is accepted when that is durable, and never twice', async () => {
  const there = open(new MemorySequenceStore(), device);
  const store = new SlowStore();
  const here = open(store);
  const first = await sealed(there, '1');
  const arrived = opened(here, first);
  const answer = accepted(here, arrived);
  assert.equal(answer.last, undefined, 'waits for the write');
  assert.equal(here.openRequest(first.kid, first.piv, first.ciphertext), 'replay', 'the same again, meanwhile');
  const twice = accepted(here, arrived);
  assert.deepEqual(twice.last, { kind: 'replay' }, 'opened before, accepted after');
  await store.let();
  assert.deepEqual(answer.last, { kind: 'fresh' });
  const second = opened(here, await sealed(there, '2'));
  assert.deepEqual(accepted(here, second).last, { kind: 'fresh' }, 'no write for each');
});

test('when it cannot be written down, nothing is accepted and nothing sent with a number of its own', async () => {
  const there = open(new MemorySequenceStore(), device);
  const store = new SlowStore();
  const here = open(store);
  const arrived = opened(here, await sealed(there, '1'));
  const answer = accepted(here, arrived);
  const own = response(here, arrived, true);
  await store.fail();
  assert.deepEqual(answer.last, { kind: 'unavailable' });
  assert.deepEqual([own.times, own.last], [1, undefined]);
});

test('numbers that are sent never come again, however often it crashes', async () => {
  let store = new SlowStore();
  const used = new Set<string>();
  for (let life = 0; life < 6; life++) {
    const context = open(store);
    for (let i = 0; i < 5 + life * 4; i++) {
      context.sealRequest(Buffer.from('x'), (made) => {
        if (made === undefined) return;
        const piv = Buffer.from(made.piv).toString('hex');
        assert.ok(!used.has(piv), `${piv} comes again`);
        used.add(piv);
      });
      if (i % 3 !== 2) await store.let();
    }
    if (life % 2 === 0) void context.putAway();
    if (life % 4 === 0) await store.let();
    store = store.afterCrash();
  }
  assert.ok(used.size > 40);
});

test('after a crash a device proves by an Echo that its request is new; what it sent before is not taken', async () => {
  const there = open(new MemorySequenceStore(), device);
  const store = new SlowStore();
  const before = open(store);
  const old = await sealed(there, 'old');
  const late = await sealed(there, 'late');
  const answer = accepted(before, opened(before, old));
  await store.let();
  assert.deepEqual(answer.last, { kind: 'fresh' });
  const clock = new ManualClock();
  const after = open(store.afterCrash(), server, clock);
  // Recorded by somebody, and sent again.
  const challenged = accepted(after, opened(after, old)).last!;
  assert.equal(challenged.kind, 'challenge');
  const echo = (challenged as { echo: Uint8Array }).echo;
  for (const wrong of [undefined, new Uint8Array(0), Buffer.alloc(8), echo.subarray(1)]) {
    assert.equal(accepted(after, opened(after, old), wrong).last?.kind, 'challenge');
  }
  const fresh = await sealed(there, 'fresh');
  assert.deepEqual(accepted(after, opened(after, fresh), echo).last, { kind: 'fresh' });
  for (const each of [old, late, fresh]) assert.equal(after.openRequest(each.kid, each.piv, each.ciphertext), 'replay');
  assert.deepEqual(accepted(after, opened(after, await sealed(there, 'next'))).last, { kind: 'fresh' });
});

test('an Echo is good for a while only', async () => {
  const there = open(new MemorySequenceStore(), device);
  const store = new MemorySequenceStore();
  const first = open(store);
  const done = Promise.withResolvers<Acceptance>();
  first.accept(opened(first, await sealed(there, '1')), undefined, done.resolve);
  assert.equal((await done.promise).kind, 'fresh');
  const clock = new ManualClock();
  const after = open(store, server, clock);
  const request = opened(after, await sealed(there, '2'));
  const { echo } = accepted(after, request).last as { echo: Uint8Array };
  clock.advance(settings.echoMs + 1);
  const again = accepted(after, request, echo).last as { kind: string; echo: Uint8Array };
  assert.equal(again.kind, 'challenge');
  assert.notDeepEqual(again.echo, echo);
});

test('after a crash a device that knows no Echo is understood again when its numbers are above what was taken', async () => {
  const there = open(new MemorySequenceStore(), device);
  const store = new SlowStore();
  const before = open(store);
  accepted(before, opened(before, await sealed(there, '0')));
  await store.let();
  const next = store.afterCrash();
  const after = open(next);
  const kinds: (string | undefined)[] = [];
  for (let i = 1; i <= 12; i++) {
    const answer = accepted(after, opened(after, await sealed(there, String(i))));
    if (answer.last === undefined) await next.let();
    kinds.push(answer.last?.kind);
  }
  // One was accepted, and the next eight might have been.
  assert.deepEqual(kinds, [...Array<string>(8).fill('challenge'), ...Array<string>(4).fill('fresh')]);
});

test('what was put away goes on where it was, for whoever has it still and for who reads it', async () => {
  const there = open(new MemorySequenceStore(), device);
  const store = new MemorySequenceStore();
  const settle = async (context: SecurityContext, request: SealedRequest): Promise<string> => {
    const done = Promise.withResolvers<Acceptance>();
    context.accept(opened(context, request), undefined, done.resolve);
    return (await done.promise).kind;
  };
  let context = open(store);
  for (let round = 0; round < 4; round++) {
    const [early, late] = [await sealed(there, 'early'), await sealed(there, 'late')];
    assert.equal(await settle(context, late), 'fresh');
    await context.putAway();
    if (round % 2 === 1) context = open(store);
    assert.equal(context.openRequest(late.kid, late.piv, late.ciphertext), 'replay');
    assert.equal(await settle(context, early), 'fresh', 'the window is as it was');
    assert.equal(Number(Buffer.from((await sealed(context, 'x')).piv).toString('hex')), round, 'no number is skipped');
    await context.putAway();
  }
});

test('a context that is retired opens and seals nothing', async () => {
  const there = open(new MemorySequenceStore(), device);
  const here = open(new MemorySequenceStore());
  const request = await sealed(there, '1');
  const arrived = opened(here, request);
  const waiting = accepted(here, arrived);
  await here.retire();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(waiting.last, { kind: 'unavailable' });
  assert.equal(here.openRequest(request.kid, Uint8Array.of(200), request.ciphertext), 'decryption-failed');
  for (const own of [true, false]) assert.deepEqual(response(here, arrived, own), { last: undefined, times: 1 });
});

test('the last number ends it', async () => {
  const store = new MemorySequenceStore();
  const fingerprint = open(store).fingerprint;
  await store.put(fingerprint, { sentBelow: lastSequence, acceptedBelow: 0, window: { newest: -1, seen: '' } });
  const context = open(store);
  assert.equal(Buffer.from((await sealed(context, 'x')).piv).toString('hex'), 'ffffffffff');
  let made: SealedRequest | undefined | 'nothing' = 'nothing';
  context.sealRequest(Buffer.from('x'), (found) => (made = found));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(made, undefined);
});

test('too many that wait are refused', () => {
  const store = new SlowStore();
  const context = open(store);
  const made: unknown[] = [];
  for (let i = 0; i < settings.maxWaiting + 2; i++) context.sealRequest(Buffer.from('x'), (found) => made.push(found));
  assert.deepEqual(made, [undefined, undefined]);
});
