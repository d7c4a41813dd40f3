import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { silentLog } from '../../../base/log.ts';
import type { AuditEvent } from '../../audit/audit.ts';
import { madeRoot } from '../testing/made-certificates.ts';
import { fieldsOf, must, openedRegistry } from '../testing/opened-registry.ts';
import { TestPki } from '../testing/test-pki.ts';
import { readCrl } from './crl-format.ts';
import { CrlNumbersFile } from './crl-numbers.ts';
import { CrlPublisher, type PublishedCrl } from './crl-publisher.ts';
import { OwnAuthorities } from './own-authorities.ts';

const hourMs = 3_600_000;
const root = madeRoot('Root');
const rootId = root.facts.keyId;

async function stand(t: TestContext, more: { readonly maxEntries?: number } = {}) {
  const { registry, clock, directory } = await openedRegistry(t);
  const pki = new TestPki().add(root);
  const events: AuditEvent[] = [];
  const settings = { intervalMs: hourMs, validityMs: 3 * hourMs, maxEntries: 1000, publicUrl: 'http://ca.example', ...more };
  const publisher = async (): Promise<CrlPublisher> => {
    const authorities = new OwnAuthorities(pki);
    const numbers = await CrlNumbersFile.open(join(directory, 'crl-numbers.json'));
    const audit = { record: (event: AuditEvent) => events.push(event) };
    const made = new CrlPublisher({ authorities, registry, numbers, clock, log: silentLog, audit, settings });
    t.after(() => made.close());
    return made;
  };
  const add = async (name: string, notAfterMs = clock.wallMs() + 30 * 24 * hourMs) => {
    const made = root.issue(name, { notAfterMs });
    must(await registry.create('certificate', 'main', made.fingerprint, fieldsOf(made)));
    return {
      serial: made.facts.serial,
      revoke: async (reason: 'keyCompromise' | 'certificateHold' = 'keyCompromise') =>
        must(await registry.update('certificate', 'main', made.fingerprint, { status: 'revoked', reason })),
      lift: async () => must(await registry.update('certificate', 'main', made.fingerprint, { status: 'valid' })),
    };
  };
  return { registry, clock, pki, events, publisher, add };
}

async function contents(crl: PublishedCrl | undefined) {
  assert.ok(crl !== undefined, 'there is a list');
  const [full, delta] = await Promise.all([crl.full, crl.delta].map((der) => readCrl(der, async () => {})));
  const list = (read: typeof full) => Object.fromEntries(read!.revoked);
  return {
    full: list(full),
    delta: list(delta),
    base: Number.parseInt(delta!.baseNumber!, 16),
    number: Number.parseInt(full!.number!, 16),
  };
}

test('a revocation is on the next list at once, and in its difference to the regular one', async (t) => {
  const { clock, publisher, add } = await stand(t);
  const crls = await publisher();
  const [one, two] = [await add('one'), await add('two')];
  await one.revoke();
  await crls.tick();
  const first = await contents(crls.of(rootId));
  assert.deepEqual([first.full, first.delta, first.base], [{ [one.serial]: 1 }, {}, first.number]);
  await crls.tick();
  assert.equal((await contents(crls.of(rootId))).number, first.number, 'nothing has happened');

  clock.advance(1000);
  await add('three');
  await crls.tick();
  assert.equal((await contents(crls.of(rootId))).number, first.number, 'a new certificate is no news');
  await two.revoke('certificateHold');
  await crls.tick();
  const second = await contents(crls.of(rootId));
  assert.deepEqual([second.full, second.delta, second.base], [{ [one.serial]: 1, [two.serial]: 6 }, { [two.serial]: 6 }, first.number]);
  assert.ok(second.number > first.number);

  clock.advance(hourMs);
  await crls.tick();
  const regular = await contents(crls.of(rootId));
  assert.deepEqual([regular.full, regular.delta, regular.base], [second.full, second.delta, first.number]);
  await two.lift();
  await crls.tick();
  const lifted = await contents(crls.of(rootId));
  assert.deepEqual([lifted.full, lifted.delta, lifted.base], [{ [one.serial]: 1 }, { [two.serial]: 8 }, regular.number]);
});

test('numbers never go back: not with a restart, not with the clock', async (t) => {
  const { clock, publisher } = await stand(t);
  const crls = await publisher();
  await crls.tick();
  const { number } = await contents(crls.of(rootId));
  await crls.close();
  clock.jump(-24 * hourMs);
  const again = await publisher();
  await again.tick();
  assert.equal((await contents(again.of(rootId))).number, number + 1);
});

test('an expired certificate is on one more regular list, and then on none', async (t) => {
  const { clock, publisher, add } = await stand(t);
  const crls = await publisher();
  const short = await add('short', clock.wallMs() + 90 * 60_000);
  await short.revoke();
  const seen: boolean[] = [];
  for (let hours = 0; hours < 5; hours++) {
    await crls.tick();
    seen.push(short.serial in (await contents(crls.of(rootId))).full);
    clock.advance(hourMs);
  }
  // Expires after an hour and a half: the list after two hours still has it.
  assert.deepEqual(seen, [true, true, true, false, false]);
  assert.deepEqual((await contents(crls.of(rootId))).delta, {});
});

test('a list that cannot be issued leaves the last one, is told once, and is tried again', async (t) => {
  const { clock, publisher, events, add } = await stand(t);
  const crls = await publisher();
  await crls.tick();
  const { number } = await contents(crls.of(rootId));
  const one = await add('one');
  await one.revoke();
  t.after(() => {
    root.signer.fault = undefined;
  });
  root.signer.fault = new Error('the key is locked');
  for (let n = 0; n < 3; n++) {
    await crls.tick();
    clock.advance(11_000);
  }
  assert.equal((await contents(crls.of(rootId))).number, number);
  assert.deepEqual(
    events.map(({ action, outcome }) => [action, outcome]),
    [['crl.issue', 'failed']],
  );
  root.signer.fault = undefined;
  await crls.tick();
  assert.deepEqual((await contents(crls.of(rootId))).full, { [one.serial]: 1 });
  assert.ok([...crls.metrics()].some(({ name, value }) => name === 'heliograph_pki_crl_failures_total' && value === 3));
});

test('too many entries, and a key that is elsewhere', async (t) => {
  const { publisher, pki, add } = await stand(t, { maxEntries: 2 });
  const crls = await publisher();
  for (const name of ['a', 'b', 'c']) await (await add(name)).revoke();
  await crls.tick();
  assert.equal(crls.of(rootId), undefined);
  pki.change(root, { hasKey: false });
  const other = await publisher();
  await other.tick();
  assert.equal(other.of(rootId), undefined);
});
