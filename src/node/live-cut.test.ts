import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import type { Concerned, ReviewResult } from '../broker/review.ts';
import type { Change, LookUps } from '../registry/registry.ts';
import type { AuditEvent } from '../security/audit/audit.ts';
import type { Principal, Reassessment } from '../security/security.ts';
import { LiveCut } from './live-cut.ts';

const change = (fields: Partial<Change>): Change => ({
  version: 1,
  kind: undefined,
  tenant: undefined,
  id: undefined,
  what: 'updated',
  ...fields,
});

class World {
  readonly clock = new ManualClock();
  readonly reviews: Concerned[] = [];
  readonly events: AuditEvent[] = [];
  version = 1;
  /** Reviews are finished by the test. */
  holds = false;
  finish: (() => void)[] = [];
  result: ReviewResult = { sessions: 0, cut: 0, subscriptions: 0 };
  reassessment: Reassessment = { standing: 'barred' };
  principals: (id: string) => ReturnType<LookUps['principal']> = () => ({ ok: true, value: undefined });
  readonly ended: string[] = [];
  readonly credentials = new Map<string, { owner: { kind: 'device'; id: string } }>();
  readonly cut = new LiveCut({
    clock: this.clock,
    audit: { record: (event) => void this.events.push(event) },
    registry: {
      get: ((_kind: string, _tenant: string, id: string) => ({ ok: true, value: this.credentials.get(id) })) as never,
      principal: (_tenant, id) => this.principals(id),
    },
    endSessions: (tenant, id) => this.ended.push(`${tenant}/${id}`),
    version: () => this.version,
    reassess: (_principal, answer) => answer(this.reassessment),
    review: (concerned, reassess, done) => {
      this.reviews.push(concerned);
      const principal: Principal = { tenant: 'main', id: 'pump-7', kind: 'device', roles: [] };
      reassess(principal, () => {});
      if (this.holds) this.finish.push(() => done(this.result));
      else done(this.result);
    },
  });

  tick(everyMs = 0): Concerned[] {
    this.cut.tick(everyMs);
    return this.reviews.splice(0);
  }

  metric(name: string, labels: Record<string, string> = {}): unknown {
    return [...this.cut.metrics()].find(
      (each) => each.name === `heliograph_live_cut_${name}` && JSON.stringify(each.labels ?? {}) === JSON.stringify(labels),
    )?.value;
  }
}

describe('whom a change concerns', () => {
  const cases: readonly [string, Partial<Change>, unknown[]][] = [
    ['a device', { kind: 'device', tenant: 'main', id: 'a' }, [{ tenant: 'main', principals: ['a'] }]],
    ['a user', { kind: 'user', tenant: 'main', id: 'u' }, [{ tenant: 'main', principals: ['u'] }]],
    ['many devices', { kind: 'device', tenant: 'main', what: 'many' }, [{ tenant: 'main' }]],
    ['a role', { kind: 'role', tenant: 'main', id: 'r' }, [{ tenant: 'main' }]],
    ['a policy', { kind: 'policy', tenant: 'main', id: 'p' }, [{ tenant: 'main' }]],
    ['a tenant', { kind: 'tenant', tenant: '$system', id: 'main' }, [{ tenant: 'main' }]],
    ['tenants', { kind: 'tenant', tenant: '$system' }, [{}]],
    ['an authority', { kind: 'authority', tenant: '$system', id: 'x' }, [{}]],
    ['anything', {}, [{}]],
    ['a new credential', { kind: 'credential', tenant: 'main', id: 'c', what: 'created' }, []],
    ['a credential', { kind: 'credential', tenant: 'main', id: 'known' }, [{ tenant: 'main', principals: ['owner'] }]],
    ['a token for enrolment', { kind: 'enrolment', tenant: 'main', id: 'e' }, []],
    ['an approval', { kind: 'approval', tenant: '$system', id: 'e' }, []],
  ];
  for (const [name, fields, expected] of cases) {
    test(name, () => {
      const w = new World();
      w.credentials.set('known', { owner: { kind: 'device', id: 'owner' } });
      w.cut.changed([change(fields)]);
      assert.deepEqual(w.tick(), expected);
      assert.deepEqual(w.tick(), []);
    });
  }

  test('a certificate: who came by it, or by one that it has certified', () => {
    const w = new World();
    w.cut.changed([change({ kind: 'certificate', tenant: 'main', id: 'f' })]);
    const [{ where } = {}] = w.tick();
    const by = (fingerprint: string, issuers?: string[]): Principal => ({
      tenant: 'main',
      id: 'a',
      kind: 'device',
      roles: [],
      access: {
        listener: 'l',
        remoteAddress: '',
        secure: true,
        method: 'certificate',
        certificate: { commonName: undefined, uris: [], fingerprint, ...(issuers && { issuers }) },
      },
    });
    assert.equal(where!(by('f')), true);
    assert.equal(where!(by('g')), false);
    assert.equal(where!(by('g', ['h', 'f'])), true);
    assert.equal(where!({ tenant: 'main', id: 'a', kind: 'device', roles: [] }), false);
  });

  test('a credential that is gone: whoever came without a certificate', () => {
    const w = new World();
    w.cut.changed([change({ kind: 'credential', tenant: 'main', id: 'gone', what: 'removed' })]);
    const [concerned] = w.tick();
    assert.equal(concerned!.tenant, 'main');
    assert.equal(concerned!.where!({ tenant: 'main', id: 'a', kind: 'user', roles: [] }), true);
  });

  test('many changes at once are one review', () => {
    const w = new World();
    w.cut.changed(['a', 'b', 'c'].map((id) => change({ kind: 'device', tenant: 'main', id })));
    w.cut.changed([change({ kind: 'device', tenant: 'other', id: 'a' })]);
    assert.deepEqual(w.tick(), [
      { tenant: 'main', principals: ['a', 'b', 'c'] },
      { tenant: 'other', principals: ['a'] },
    ]);
  });
});

test('policies of another version, and authorities, concern everybody', () => {
  const w = new World();
  assert.deepEqual(w.tick(), []);
  w.version++;
  assert.deepEqual(w.tick(), [{}]);
  w.cut.authoritiesChanged();
  assert.deepEqual(w.tick(), [{}]);
  assert.equal(w.metric('reviews_total', { reason: 'policy' }), 1);
  assert.equal(w.metric('reviews_total', { reason: 'authority' }), 1);
});

test('who came while it was decided is looked at once more', () => {
  const w = new World();
  w.clock.advance(10_000);
  w.cut.changed([change({ kind: 'device', tenant: 'main', id: 'a' })]);
  const changedAtMs = w.clock.wallMs();
  w.tick();
  w.clock.advance(2900);
  assert.deepEqual(w.tick(), []);
  w.clock.advance(200);
  assert.deepEqual(w.tick(), [{ tenant: 'main', principals: ['a'], attachedSinceMs: changedAtMs - 3000 }]);
  w.clock.advance(10_000);
  assert.deepEqual(w.tick(), []);
});

test('everybody is looked at now and then', () => {
  const w = new World();
  w.clock.advance(999);
  assert.deepEqual(w.tick(1000), []);
  w.clock.advance(1);
  assert.deepEqual(w.tick(1000), [{}]);
  assert.deepEqual(w.tick(1000), []);
  w.clock.advance(1000);
  assert.deepEqual(w.tick(0), []);
});

test('what changes while a review is under way waits for its end', () => {
  const w = new World();
  w.holds = true;
  w.version++;
  assert.deepEqual(w.tick(), [{}]);
  w.cut.changed([change({ kind: 'device', tenant: 'main', id: 'a' })]);
  assert.deepEqual(w.tick(), []);
  w.clock.advance(300);
  w.result = { sessions: 5, cut: 1, subscriptions: 2 };
  for (const finish of w.finish.splice(0)) finish();
  assert.deepEqual(w.tick(), [{ tenant: 'main', principals: ['a'] }]);
  assert.equal(w.metric('sessions_reviewed_total'), 5);
  assert.equal(w.metric('sessions_cut_total'), 1);
  assert.equal(w.metric('subscriptions_revoked_total'), 2);
  assert.deepEqual(
    w.events.map(({ action, target }) => `${action} ${target}`),
    ['session.cut device/main/pump-7', 'session.subscriptions.revoke ', 'session.cut device/main/pump-7'],
  );
});

test('the sessions of who is removed end after the review, if nobody has its name by then', async () => {
  const w = new World();
  w.holds = true;
  const remove = (id: string): void => w.cut.changed([change({ kind: 'device', tenant: 'main', id, what: 'removed' })]);
  remove('gone');
  assert.deepEqual(w.tick(), [{ tenant: 'main', principals: ['gone'] }]);
  assert.deepEqual(w.ended, [], 'first its connections');
  w.finish.pop()!();
  assert.deepEqual(w.ended, ['main/gone']);
  assert.ok(w.events.some(({ action, target }) => action === 'session.end' && target === 'principal/main/gone'));
  w.holds = false;
  const answers: readonly ReturnType<LookUps['principal']>[] = [
    { ok: true, value: { kind: 'device', entry: {} as never } },
    { ok: false, error: { code: 'unavailable', message: '' } },
    Promise.reject(new Error('a bug')),
    Promise.resolve({ ok: true, value: undefined }),
  ];
  for (const [i, answer] of answers.entries()) {
    w.principals = () => answer;
    remove(`d${i}`);
    w.tick();
  }
  await Promise.allSettled(answers.map(async (each) => each));
  await Promise.resolve();
  assert.deepEqual(w.ended, ['main/gone', 'main/d3']);
  w.cut.changed([change({ kind: 'device', tenant: 'main', id: 'x' })]);
  w.tick();
  assert.equal(w.ended.length, 2, 'a change is no removal');
});
