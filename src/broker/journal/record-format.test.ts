// Every release reads what every earlier release wrote: the fixtures were written by the release that brought each format
// (tools/broker-fixture.ts), and are never written again.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { forEachRecord, trimmedRow } from '../../store/row.ts';
import { RecordKind, recordVersion } from './records.ts';
import { assertInvariants } from '../testing/described-state.ts';
import { broughtBack, everythingOf } from '../testing/stored-broker.ts';
import type { StoredBroker } from '../testing/stored-broker.ts';

const fixtures = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures');

function fixture(format: number, file: string): unknown {
  return JSON.parse(fs.readFileSync(join(fixtures, `broker-format-${format}`, `${file}.json`), 'utf8'));
}

for (let format = 1; format <= recordVersion; format++) {
  test(`journals of format ${format} bring back the broker that wrote them`, async () => {
    const t = await broughtBack(fixture(format, 'journals') as StoredBroker);
    assertInvariants(t.broker);
    assert.deepEqual(everythingOf(t), fixture(format, 'holds'));
    assertInvariants(t.broker);
    assert.equal(t.failed, undefined);
  });
}

test('the newest fixture holds every kind of record, before its checkpoint and after it', () => {
  const { shards } = fixture(recordVersion, 'journals') as StoredBroker;
  const kinds = { before: new Set<number>(), after: new Set<number>() };
  let trimmed = 0;
  for (const { checkpoint, rows } of shards) {
    for (const [row, text] of Object.entries(rows)) {
      const bytes = Buffer.from(text, 'base64');
      if (bytes[0] === trimmedRow) trimmed++;
      forEachRecord(bytes, (_index, kind) => kinds[Number(row) < checkpoint ? 'before' : 'after'].add(kind));
    }
  }
  assert.deepEqual(
    [...kinds.after].toSorted((a, b) => a - b),
    Object.values(RecordKind).toSorted((a, b) => a - b),
  );
  assert.ok(kinds.before.has(RecordKind.message) && trimmed > 0);
});
