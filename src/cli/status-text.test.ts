import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Status } from '../admin/status.ts';
import { statusText } from './status-text.ts';
import { traceText } from './trace.ts';

const status: Status = {
  name: 'n1',
  version: '1.2.3',
  state: 'serving',
  startedAtMs: 0,
  uptimeSeconds: 3725.4,
  notReady: [],
  durability: 'fsynced',
  listeners: [
    { name: 'mqtt', kind: 'tcp', host: '127.0.0.1', port: 1883, connections: 12, accepted: 1_234_567, refused: 0 },
    { name: 'mqtts', kind: 'tls', host: '::', port: 8883, connections: 3, accepted: 4, refused: 0 },
    { name: 'admin', kind: 'http', host: '127.0.0.1', port: 8080 },
  ],
  connections: 15,
  sessions: { total: 20, connected: 15 },
  subscriptions: 30,
  retained: 2,
  ledger: { accepted: 1000, recovered: 5, delivered: 900, queued: 100, expired: 2, dropped: { queueFull: 3, purged: 0 } },
  journal: [{ shard: 0, rows: 42, bytes: 12_345, storedBytes: 65_536, commits: 4, commitMs: 3 }],
  tenants: [{ tenant: 'main', sessions: 20, connected: 15, subscriptions: 30, retained: 2, queued: 100 }],
  certificates: [{ name: 'server', notAfterMs: Date.UTC(2027, 1, 3) }],
};

test('the status is readable, and says that the books add up', () => {
  assert.equal(
    statusText(status),
    `node             n1, Heliograph 1.2.3
state            serving
up for           1 h 2 min
acknowledged is  fsynced
connections      15
sessions         20, 15 connected
subscriptions    30
retained         2

listener  kind  address         connections   accepted  refused
mqtt      tcp   127.0.0.1:1883           12  1 234 567        0
mqtts     tls   [::]:8883                 3          4        0
admin     http  127.0.0.1:8080

messages, once per queue
accepted     1 000
recovered    5
delivered    900
queued       100
expired      2
dropped      3
  queueFull  3
The books add up: accepted + recovered = delivered + queued + expired + dropped.

journal shard  rows     live  on disk  commits  mean commit
0                42  12.3 kB  65.5 kB        4      0.75 ms

tenant  sessions  connected  subscriptions  retained  queued
main          20         15             30         2     100

certificate  expires
server       2027-02-03
`,
  );
});

test('it is loud when the books do not add up, and tells what is in the way', () => {
  const text = statusText({
    ...status,
    state: 'starting',
    notReady: ['journal 0 waits: full'],
    ledger: { ...status.ledger, delivered: 899 },
  });
  assert.match(text, /THE BOOKS DO NOT ADD UP: they differ by 1\./);
  assert.match(text, /^state +starting: journal 0 waits: full$/m);
});

test('names from outside cannot move the cursor', () => {
  const tenant = { ...status.tenants[0]!, tenant: 'a\u001b[2J' };
  assert.match(statusText({ ...status, tenants: [tenant] }), /^"a\\u001b\[2J" /m);
});

test('a packet is a line with its time and direction', () => {
  assert.equal(traceText({ watching: 'a "b"' }), 'watching "a \\"b\\""; "in" is what the client sent');
  assert.equal(traceText({ atMs: 1_700_000_000_123, direction: 'in', packet: 'PINGREQ' }), '22:13:20.123  in   PINGREQ');
  assert.equal(traceText({ atMs: 1_700_000_000_123, direction: 'out', packet: 'PINGRESP' }), '22:13:20.123  out  PINGRESP');
  assert.equal(traceText({ atMs: 1_700_000_000_123, dropped: 3 }), '22:13:20.123  …    3 packets not shown');
});
