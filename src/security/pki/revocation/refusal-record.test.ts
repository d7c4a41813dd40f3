import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../base/clock.ts';
import { silentLog } from '../../../base/log.ts';
import type { AuditEvent } from '../../audit/audit.ts';
import { RefusalRecord, type Refusal } from './refusal-record.ts';

const refusal: Refusal = { listener: 'mqtts', remoteAddress: '192.0.2.1', fault: 'revoked', fingerprint: 'ab', subject: 'O=main\nCN=x' };

test('the same thing is told at once and then once a minute, with how often it was', () => {
  const clock = new ManualClock();
  const events: AuditEvent[] = [];
  const record = new RefusalRecord(clock, silentLog, { record: (event) => events.push(event) });
  for (let n = 0; n < 5; n++) record.tell(refusal);
  assert.equal(events.length, 1);
  assert.deepEqual(events[0], {
    actor: { kind: 'stranger' },
    action: 'handshake.refuse',
    target: 'listener/mqtts',
    from: '192.0.2.1',
    outcome: 'refused',
    details: { reason: 'revoked', fingerprint: 'ab', subject: 'O=main, CN=x' },
  });
  record.tell({ ...refusal, fault: 'expired' });
  record.tell({ ...refusal, remoteAddress: '192.0.2.2' });
  assert.equal(events.length, 3, 'other things are told');
  clock.advance(60_000);
  record.tell(refusal);
  assert.deepEqual([events.length, events[3]!.details!['timesSince']], [4, 4]);
});

test('what is remembered is bounded', () => {
  const events: AuditEvent[] = [];
  const record = new RefusalRecord(new ManualClock(), silentLog, { record: (event) => events.push(event) });
  for (let n = 0; n < 1001; n++) record.tell({ ...refusal, remoteAddress: String(n) });
  record.tell({ ...refusal, remoteAddress: '1000' });
  assert.equal(events.length, 1001);
  record.tell({ ...refusal, remoteAddress: '0' });
  assert.equal(events.length, 1002, 'the oldest was forgotten');
});

test('all addresses of an IPv6 network are told of together', () => {
  const events: AuditEvent[] = [];
  const record = new RefusalRecord(new ManualClock(), silentLog, { record: (event) => events.push(event) });
  for (let n = 1; n <= 50; n++) record.tell({ ...refusal, remoteAddress: `2001:db8:0:1::${n}` });
  assert.equal(events.length, 1);
  record.tell({ ...refusal, remoteAddress: '2001:db8:0:2::1' });
  assert.equal(events.length, 2);
});
