import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { LookUpCache } from './look-up-cache.ts';
import { refusal, value, type Change, type ChangeListener, type Registry, type Result } from './registry.ts';

type Asked = { readonly question: string; readonly answer: (result: Result<unknown>) => void };

/** A registry that answers when the test says so, and tells of what the test says. */
function fake(now?: (question: string) => Result<unknown>): { registry: Registry; asked: Asked[]; tell: ChangeListener } {
  const asked: Asked[] = [];
  const listeners = new Set<ChangeListener>();
  const ask = (...parts: unknown[]): unknown => {
    const question = JSON.stringify(parts);
    const answer = now?.(question);
    if (answer !== undefined) {
      asked.push({ question, answer: () => {} });
      return answer;
    }
    return new Promise((resolve) => asked.push({ question, answer: resolve }));
  };
  const registry = {
    get: ask,
    principal: ask,
    certificate: ask,
    credentials: ask,
    credentialsByHandle: ask,
    subscribe(listener: ChangeListener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  } as unknown as Registry;
  return { registry, asked, tell: (changes) => [...listeners].forEach((listener) => listener(changes)) };
}

function change(kind: Change['kind'], tenant: string | undefined, id: string | undefined): Change {
  return { version: 1, kind, tenant, id, what: id === undefined ? 'many' : 'updated' };
}

const options = { entries: 100, maxAgeMs: 60_000 };
const owner = { kind: 'device', id: 'a' } as const;

test('who asks the same is asked once, also when there is nothing; refusals are not remembered', async () => {
  const { registry, asked } = fake();
  const cache = new LookUpCache(registry, new ManualClock(), options);
  const both = Promise.all([cache.get('device', 'main', 'a'), cache.get('device', 'main', 'a')]);
  assert.equal(asked.length, 1);
  asked[0]!.answer(value(undefined));
  assert.deepEqual(await both, [value(undefined), value(undefined)]);
  assert.deepEqual(cache.get('device', 'main', 'a'), value(undefined), 'at once');
  const refusedOne = cache.get('device', 'main', 'b');
  asked[1]!.answer(refusal('unavailable', 'away'));
  assert.equal((await refusedOne).ok, false);
  void cache.get('device', 'main', 'b');
  void cache.get('user', 'main', 'a');
  void cache.get('device', 'other', 'a');
  assert.equal(asked.length, 5);
});

test('an embedded registry answers at once, and is remembered as well', () => {
  const { registry, asked } = fake((question) => value(question));
  const cache = new LookUpCache(registry, new ManualClock(), options);
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(cache.certificate('f'), value('["f"]'));
    assert.deepEqual(cache.credentials('main', owner), value('["main",{"kind":"device","id":"a"}]'));
  }
  assert.equal(asked.length, 2);
});

test('what changes is dropped, and only that', () => {
  const { registry, asked, tell } = fake((question) => value(question));
  const cache = new LookUpCache(registry, new ManualClock(), options);
  const all: readonly [name: string, ask: () => unknown][] = [
    ['device', () => cache.get('device', 'main', 'a')],
    ['other device', () => cache.get('device', 'main', 'b')],
    ['device elsewhere', () => cache.get('device', 'mai', 'a')],
    ['name', () => cache.principal('main', 'a')],
    ['other name', () => cache.principal('main', 'b')],
    ['name elsewhere', () => cache.principal('mai', 'a')],
    ['certificate', () => cache.certificate('f')],
    ['certificate in its tenant', () => cache.get('certificate', 'main', 'f')],
    ['credentials', () => cache.credentials('main', owner)],
    ['credentials elsewhere', () => cache.credentials('other', owner)],
    ['handle', () => cache.credentialsByHandle('h')],
  ];
  const droppedBy = (...changes: Change[]): string[] => {
    for (const [, ask] of all) ask();
    tell(changes);
    return all
      .filter(([, ask]) => {
        const before = asked.length;
        ask();
        return asked.length > before;
      })
      .map(([name]) => name);
  };
  assert.deepEqual(droppedBy(change('device', 'main', 'a')), ['device', 'name']);
  assert.deepEqual(droppedBy(change('device', 'main', undefined)), ['device', 'other device', 'name', 'other name']);
  assert.deepEqual(droppedBy(change('certificate', 'main', 'f')), ['certificate', 'certificate in its tenant']);
  assert.deepEqual(droppedBy(change('certificate', 'main', undefined)), ['certificate', 'certificate in its tenant']);
  assert.deepEqual(droppedBy(change('credential', 'main', 'c')), ['credentials', 'handle']);
  assert.deepEqual(droppedBy(change('user', 'main', 'b'), change('policy', 'main', undefined)), ['other name']);
  assert.deepEqual(
    droppedBy(change(undefined, undefined, undefined)),
    all.map(([name]) => name),
  );
});

test('an answer that was overtaken by a change is given, but not remembered', async () => {
  for (const overtaking of [change('device', 'main', 'a'), change('device', 'main', undefined), change(undefined, undefined, undefined)]) {
    const { registry, asked, tell } = fake();
    const cache = new LookUpCache(registry, new ManualClock(), options);
    const early = cache.get('device', 'main', 'a');
    tell([overtaking]);
    const late = cache.get('device', 'main', 'a');
    assert.equal(asked.length, 2, 'who asks after the change gets an answer of after the change');
    asked[1]!.answer(value('new' as never));
    asked[0]!.answer(value('old' as never));
    assert.deepEqual([await early, await late], [value('old'), value('new')]);
    assert.deepEqual(cache.get('device', 'main', 'a'), value('new'));
  }
});

test('nothing is believed for longer than its age', () => {
  const { registry, asked } = fake((question) => value(question));
  const clock = new ManualClock();
  const cache = new LookUpCache(registry, clock, { entries: 100, maxAgeMs: 1000 });
  void cache.get('device', 'main', 'a');
  clock.advance(1000);
  void cache.get('device', 'main', 'a');
  assert.equal(asked.length, 1);
  clock.advance(1);
  void cache.get('device', 'main', 'a');
  assert.equal(asked.length, 2);
});

test('it stays within its bound, and what is in use stays longest', () => {
  const { registry, asked } = fake((question) => value(question));
  const cache = new LookUpCache(registry, new ManualClock(), { entries: 10, maxAgeMs: 1000 });
  for (let i = 0; i < 1000; i++) {
    void cache.get('device', 'main', `d-${i}`);
    void cache.get('device', 'main', 'favourite');
    const size = [...cache.metrics()].find(({ name }) => name.endsWith('_entries'))!.value as number;
    assert.ok(size <= 11, `${size} entries`);
  }
  assert.equal(asked.filter(({ question }) => question.includes('favourite')).length, 1);
  cache.close();
});
