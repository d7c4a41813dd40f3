import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmqpFault } from './amqp-fault.ts';
import { decodeCoordination, writeCoordination } from './coordination.ts';
import { decodePerformative, performativeCode, writePerformative } from './performative-codec.ts';
import { type Performative, PerformativeCode } from './performatives.ts';
import { decodeSaslFrame, writeSaslFrame } from './sasl.ts';
import { performatives, saslFrames } from './testing/arbitraries.ts';
import { lifetimePolicy, lifetimePolicyValue } from './terminus.ts';
import { ValueWriter } from './value-writer.ts';

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function written(performative: Performative): Uint8Array {
  const writer = new ValueWriter();
  writePerformative(writer, performative);
  return writer.copy();
}

function read(bytes: Uint8Array): Performative | AmqpFault {
  return decodePerformative(bytes, 0, bytes.length);
}

function assertFault(result: unknown, why: RegExp, condition = 'amqp:decode-error'): void {
  assert.ok(result instanceof AmqpFault, JSON.stringify(result));
  assert.match(result.message, why);
  assert.equal(result.condition, condition);
}

test('performatives are the bytes that the specification makes of them', () => {
  const cases: readonly (readonly [Performative, string])[] = [
    [{ type: 'open', containerId: 'a' }, '005310 c00401a10161'],
    [{ type: 'open', containerId: 'a', maxFrameSize: 512, idleTimeOut: 0 }, '005310 c00c05a10161 40 7000000200 40 43'],
    [{ type: 'begin', nextOutgoingId: 0, incomingWindow: 1, outgoingWindow: 256 }, '005311 c00a04 40 43 5201 7000000100'],
    [{ type: 'begin', remoteChannel: 7, nextOutgoingId: 0, incomingWindow: 0, outgoingWindow: 0 }, '005311 c00704 600007 43 43 43'],
    [
      {
        type: 'attach',
        name: 'l',
        handle: 0,
        role: 'receiver',
        sndSettleMode: 2,
        rcvSettleMode: 0,
        source: { type: 'source', address: 'q' },
      },
      '005312 c01306 a1016c 43 41 5002 5000 005328c00401a10171',
    ],
    [
      { type: 'attach', name: 'l', handle: 1, role: 'sender', target: { type: 'coordinator', capabilities: ['amqp:local-transactions'] } },
      `005312 c02907 a1016c 5201 42 40 40 40 005330c01a01a317${Buffer.from('amqp:local-transactions').toString('hex')}`,
    ],
    [
      { type: 'attach', name: '', handle: 0, role: 'sender', unsettled: new Map([['\u00ff', undefined]]), initialDeliveryCount: 0 },
      '005312 c0120a a100 43 42 40 40 40 40 c10502a001ff40 40 43',
    ],
    [
      { type: 'flow', incomingWindow: 1, nextOutgoingId: 2, outgoingWindow: 3, drain: true },
      '005313 c00d09 40 5201 5202 5203 40 40 40 40 41',
    ],
    [
      { type: 'transfer', handle: 0, deliveryId: 0, deliveryTag: hex('00'), messageFormat: 0, settled: true },
      '005314 c00805 43 43 a00100 43 41',
    ],
    [
      { type: 'disposition', role: 'receiver', first: 1, settled: true, state: { type: 'accepted' } },
      '005315 c00a05 41 5201 40 41 00532445',
    ],
    [{ type: 'detach', handle: 1, closed: true }, '005316 c00402 5201 41'],
    [
      { type: 'detach', handle: 1, error: { type: 'error', condition: 'x', info: new Map() } },
      '005316 c01103 5201 40 00531dc00803a3017840c10100',
    ],
    [{ type: 'end' }, '005317 45'],
    [{ type: 'close', error: { type: 'error', condition: 'x', description: 'y' } }, '005318 c00d01 00531dc00702a30178a10179'],
  ];
  for (const [performative, text] of cases) {
    assert.equal(Buffer.from(written(performative)).toString('hex'), text.replaceAll(' ', ''));
    assert.deepEqual(read(hex(text)), performative);
    assert.equal(performativeCode(hex(text), 0, hex(text).length), PerformativeCode[performative.type]);
    for (let cut = 0; cut < hex(text).length; cut++)
      assert.ok(read(hex(text).subarray(0, cut)) instanceof AmqpFault, `${text}, ${cut} bytes`);
  }
});

test('any performative comes back as it was written; cut, it is refused', () => {
  fc.assert(
    fc.property(performatives, fc.nat(), (performative, at) => {
      const bytes = written(performative);
      assert.deepEqual(read(bytes), performative);
      assert.ok(read(bytes.subarray(0, at % bytes.length)) instanceof AmqpFault);
      assert.equal(read(new Uint8Array([...bytes, 0x40])) instanceof AmqpFault, performative.type !== 'transfer');
    }),
    { numRuns: 1500 },
  );
});

test('any SASL frame comes back as it was written; cut, it is refused', () => {
  fc.assert(
    fc.property(saslFrames, (frame) => {
      const writer = new ValueWriter();
      writeSaslFrame(writer, frame);
      const bytes = writer.copy();
      assert.deepEqual(decodeSaslFrame(bytes, 0, bytes.length), frame);
      for (let cut = 0; cut < bytes.length && cut < 60; cut++) assert.ok(decodeSaslFrame(bytes, 0, cut) instanceof AmqpFault);
    }),
    { numRuns: 300 },
  );
});

test('what begins and ends transactions comes back as it was written', () => {
  const requests = [
    { type: 'declare' },
    { type: 'declare', globalId: { type: 'binary', value: hex('01') } },
    { type: 'discharge', txnId: hex('02'), fail: true },
    { type: 'discharge', txnId: hex('02') },
  ] as const;
  for (const request of requests) {
    const writer = new ValueWriter();
    writeCoordination(writer, request);
    assert.deepEqual(decodeCoordination(writer.bytes, 0, writer.length), request);
  }
  const without = hex('005332 c0020142');
  assertFault(decodeCoordination(without, 0, without.length), /another type where binary/);
  const empty = hex('005332 45');
  assertFault(decodeCoordination(empty, 0, empty.length), /discharge without txnId/);
  const other = hex('005324 45');
  assertFault(decodeCoordination(other, 0, other.length), /where declare or discharge belongs/, 'amqp:not-implemented');
});

test('the descriptor may be a symbol, or a number in a longer form', () => {
  const name = Buffer.from('amqp:end:list').toString('hex');
  for (const descriptor of ['005317', '00800000000000000017', `00a30d${name}`, `00b30000000d${name}`]) {
    const bytes = hex(`${descriptor}45`);
    assert.deepEqual(read(bytes), { type: 'end' });
    assert.equal(performativeCode(bytes, 0, bytes.length), PerformativeCode.end);
  }
  for (const descriptor of ['00530f', '005319', '0044', '00a30161', '00800100000000000017', '0041', '40', '']) {
    const bytes = hex(`${descriptor}45`);
    assert.equal(performativeCode(bytes, 0, bytes.length), -1, descriptor);
    assert.ok(read(bytes) instanceof AmqpFault, descriptor);
  }
  assertFault(read(hex('00531945')), /not known/, 'amqp:not-implemented');
});

test('what clients write otherwise than the specification has it is read', () => {
  // rhea: the info of an error has strings for keys.
  const info = hex('005318 c01301 00531d c00d03 a30178 40 c10602 a10161 5201');
  const error = { type: 'error', condition: 'x', info: new Map([['a', { type: 'uint', value: 1 }]]) };
  assert.deepEqual(read(info), { type: 'close', error });
  // But what is no symbol at all is none.
  info[info.indexOf(0x61)] = 0xe9;
  assertFault(read(info), /not ASCII/);
});

test('performatives of a wrong form are refused', () => {
  const cases: readonly (readonly [bytes: string, why: RegExp, condition?: string])[] = [
    ['005310 45', /open without containerId/],
    ['005310 c0020140', /open without containerId/],
    ['005310 c00401a30161', /where a string/],
    ['005310 40', /where a list/],
    ['005310 c10100', /where a list/],
    ['005310 c00e0b a10161 40404040404040404040', /more fields/],
    ['005310 c00804 a10161 40 40 5201', /where a ushort/],
    ['005311 c00403 40 43 43', /begin without outgoingWindow/],
    ['005312 c00602 a1016c 5201', /attach without role/],
    ['005312 c00904 a1016c 5201 41 5003', /snd-settle-mode/, 'amqp:invalid-field'],
    ['005312 c00a05 a1016c 5201 41 40 5002', /rcv-settle-mode/, 'amqp:invalid-field'],
    ['005312 c00d06 a1016c 5201 41 40 40 00532945', /source belongs/, 'amqp:not-implemented'],
    ['005312 c01206 a1016c 5201 41 40 40 005328c0040240 5203', /terminus durability/, 'amqp:invalid-field'],
    ['005314 c0020140', /transfer without handle/],
    [`005314 c02603 43 43 a021 ${'00'.repeat(33)}`, /more than 32/],
    ['005315 c0020141', /disposition without first/],
    ['005315 c00905 41 43 40 40 00532345', /received without sectionNumber/],
    ['005318 c0050100531d45', /error without condition/],
    ['005318 c0050100531e45', /an error belongs/, 'amqp:not-implemented'],
  ];
  for (const [bytes, why, condition] of cases) {
    assertFault(read(hex(bytes)), why, condition);
  }
});

test('a transaction is not declared within another one', () => {
  const declared = { type: 'declared', txnId: hex('02') } as const;
  const state = { type: 'transactional-state', txnId: hex('01'), outcome: declared } as const;
  assertFault(read(written({ type: 'disposition', role: 'receiver', first: 0, state })), /declared within another/);
});

test('policies of dynamic nodes are recognised', () => {
  for (const policy of ['delete-on-close', 'delete-on-no-links', 'delete-on-no-messages', 'delete-on-no-links-or-messages'] as const) {
    assert.equal(lifetimePolicy(lifetimePolicyValue(policy)), policy);
    const descriptor = { type: 'symbol', value: `amqp:${policy}:list` } as const;
    assert.equal(lifetimePolicy({ type: 'described', descriptor, value: { type: 'list', value: [] } }), policy);
  }
  assert.equal(lifetimePolicy(undefined), undefined);
  assert.equal(
    lifetimePolicy({ type: 'described', descriptor: { type: 'ulong', value: 0x2fn }, value: { type: 'list', value: [] } }),
    undefined,
  );
});
