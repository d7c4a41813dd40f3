import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogFields } from '../../../base/log.ts';
import { silentLog } from '../../../base/log.ts';
import { madeRoot } from '../testing/made-certificates.ts';
import { fieldsOf, must, openedRegistry } from '../testing/opened-registry.ts';
import { ExpiryWatch, type Ending } from './expiry-watch.ts';

const dayMs = 86_400_000;

test('what ends soon is counted, shown, and warned of once a day', async (t) => {
  const { registry, clock } = await openedRegistry(t);
  const root = madeRoot('Root');
  must(await registry.create('device', 'main', 'a', {}));
  const owner = { kind: 'device', id: 'a' } as const;
  for (const days of [0.5, 3, 10, 20, 100]) {
    const made = root.issue(`${days}`, { notAfterMs: clock.wallMs() + days * dayMs });
    must(await registry.create('certificate', 'main', made.fingerprint, { ...fieldsOf(made), owner }));
  }
  const nobodys = root.issue('server');
  must(await registry.create('certificate', 'main', nobodys.fingerprint, fieldsOf(nobodys)));
  let endings: Ending[] = [{ kind: 'authority', name: 'Root', endMs: clock.wallMs() + 31 * dayMs, warnMs: 30 * dayMs }];
  const lines: string[] = [];
  const log = {
    ...silentLog,
    warn: (event: string, fields?: LogFields) => lines.push(`${event} ${fields?.['name'] ?? fields?.['certificates']}`),
  };
  const watch = new ExpiryWatch({ registry, endings: () => endings, clock, log });
  await watch.look();
  await watch.look();
  assert.deepEqual(
    watch.report.peers.map(({ days, count }) => [days, count]),
    [
      [1, 1],
      [7, 2],
      [30, 4],
    ],
  );
  assert.deepEqual([watch.report.first.length, watch.report.first[0]!.owner, watch.report.isMore], [4, 'device/a', false]);
  assert.deepEqual(lines.splice(0), ['pki.peers.end.soon 1']);
  clock.advance(2.5 * dayMs);
  await watch.look();
  await watch.look();
  // Two days later the one of three days is the one that ends within a day.
  assert.deepEqual(lines.splice(0), ['pki.ends.soon Root', 'pki.peers.end.soon 1']);
  clock.advance(40 * dayMs);
  await watch.look();
  assert.deepEqual(lines.splice(0), ['pki.ended Root']);
  endings = [];
  clock.advance(1000);
  await watch.look();
  assert.deepEqual(lines, []);
  const topics = new Map(watch.topics());
  assert.equal(topics.get('certificates/peers/30-days'), '0');
  assert.ok([...watch.metrics()].some(({ name }) => name === 'heliograph_pki_peer_certificates_ending'));
});
