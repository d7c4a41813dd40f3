import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmqpFault } from './amqp-fault.ts';
import { decodePerformative, performativeCode, writePerformative } from './performative-codec.ts';
import { type Performative, PerformativeCode } from './performatives.ts';
import { performativeArbitraries } from './testing/arbitraries.ts';
import { latin1Of } from './text.ts';
import { StateCode } from './delivery-state.ts';
import {
  decodeDisposition,
  decodeFlow,
  decodeTransfer,
  deliveryTagOf,
  DispositionFields,
  FlowFields,
  TransferFields,
} from './transfer-fields.ts';
import { ValueWriter } from './value-writer.ts';

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function written(performative: Performative): Uint8Array {
  const writer = new ValueWriter();
  writePerformative(writer, performative);
  return writer.copy();
}

// One struct for everything, as a connection has it: what one frame leaves must not show in the next.
const transferFields = new TransferFields();
const dispositionFields = new DispositionFields();
const flowFields = new FlowFields();

test('a transfer is read as the object would be, with its payload behind it', () => {
  fc.assert(
    fc.property(performativeArbitraries.transfer, fc.uint8Array({ maxLength: 20 }), fc.nat(3), (transfer, payload, before) => {
      const body = Buffer.concat([new Uint8Array(before), written(transfer), payload]);
      const fields = transferFields;
      assert.equal(decodeTransfer(body, before, body.length, fields), undefined);
      const tag = transfer.deliveryTag;
      assert.equal(fields.tagStart < 0, tag === undefined);
      assert.equal(deliveryTagOf(body, fields), tag === undefined ? '' : latin1Of(tag, 0, tag.length));
      assert.deepEqual(
        [fields.handle, fields.deliveryId, fields.messageFormat, fields.settled, fields.more, fields.rcvSettleMode],
        [
          transfer.handle,
          transfer.deliveryId ?? -1,
          transfer.messageFormat ?? -1,
          transfer.settled ?? false,
          transfer.more ?? false,
          transfer.rcvSettleMode ?? -1,
        ],
      );
      assert.deepEqual(fields.state, transfer.state);
      assert.deepEqual(
        [fields.resume, fields.aborted, fields.batchable],
        [transfer.resume ?? false, transfer.aborted ?? false, transfer.batchable ?? false],
      );
      assert.deepEqual(new Uint8Array(body.subarray(fields.payloadStart, fields.payloadEnd)), payload);
    }),
    { numRuns: 500 },
  );
});

test('a disposition is read as the object would be', () => {
  fc.assert(
    fc.property(performativeArbitraries.disposition, (disposition) => {
      const body = written(disposition);
      const fields = dispositionFields;
      assert.equal(decodeDisposition(body, 0, body.length, fields), undefined);
      const { role, first, last = first, settled = false, state, batchable = false } = disposition;
      assert.deepEqual(
        [fields.receiver, fields.first, fields.last, fields.settled, fields.batchable],
        [role === 'receiver', first, last, settled, batchable],
      );
      assert.deepEqual(fields.state, state);
      const code =
        state === undefined
          ? 0
          : state.type === 'unknown'
            ? -1
            : StateCode[state.type === 'transactional-state' ? 'transactionalState' : state.type];
      assert.equal(fields.stateCode, code);
    }),
    { numRuns: 500 },
  );
});

test('a flow is read as the object would be', () => {
  fc.assert(
    fc.property(performativeArbitraries.flow, (flow) => {
      const body = written(flow);
      const fields = flowFields;
      assert.equal(decodeFlow(body, 0, body.length, fields), undefined);
      assert.deepEqual(
        [fields.nextIncomingId, fields.incomingWindow, fields.nextOutgoingId, fields.outgoingWindow, fields.handle],
        [flow.nextIncomingId ?? -1, flow.incomingWindow, flow.nextOutgoingId, flow.outgoingWindow, flow.handle ?? -1],
      );
      assert.deepEqual(
        [fields.deliveryCount, fields.linkCredit, fields.available, fields.drain, fields.echo],
        [flow.deliveryCount ?? -1, flow.linkCredit ?? -1, flow.available ?? -1, flow.drain ?? false, flow.echo ?? false],
      );
      assert.deepEqual(fields.properties, flow.properties);
    }),
    { numRuns: 500 },
  );
});

/** The quick decoder of what `body` is. */
function decodeQuickly(body: Uint8Array, end: number): AmqpFault | undefined {
  switch (performativeCode(body, 0, end)) {
    case PerformativeCode.transfer:
      return decodeTransfer(body, 0, end, transferFields);
    case PerformativeCode.disposition:
      return decodeDisposition(body, 0, end, dispositionFields);
    case PerformativeCode.flow:
      return decodeFlow(body, 0, end, flowFields);
    default:
      return new AmqpFault('amqp:decode-error', 'another performative');
  }
}

test('both ways of reading refuse the same bytes: cut, and changed', () => {
  const { transfer, disposition, flow } = performativeArbitraries;
  fc.assert(
    fc.property(fc.oneof(transfer, disposition, flow), fc.nat(), fc.nat(255), (performative, at, byte) => {
      const body = written(performative);
      for (let end = 0; end < body.length; end++) assert.ok(decodeQuickly(body, end) instanceof AmqpFault);
      body[at % body.length] = byte;
      const slow = decodePerformative(body, 0, body.length);
      const quick = decodeQuickly(body, body.length);
      if (slow instanceof AmqpFault || slow.type === performative.type) assert.equal(quick === undefined, !(slow instanceof AmqpFault));
    }),
    { numRuns: 2000 },
  );
});

test('every encoding of numbers and flags is taken', () => {
  const transfers = [
    '005314 c01006 43 5201 a00161 7000000000 5601 5600',
    '005314 d00000001a00000006 7000000000 7000000001 b00000000161 43 41 42',
    '0080 0000000000000014 c00e06 5200 5201 a00161 40 41 40',
    `00a312${Buffer.from('amqp:transfer:list').toString('hex')} c00e06 5200 5201 a00161 40 41 40`,
  ];
  for (const text of transfers) {
    const body = hex(text);
    const listAt = body.indexOf(text.includes('d0') ? 0xd0 : 0xc0);
    body[listAt + (body[listAt] === 0xd0 ? 4 : 1)] = body.length - listAt - (body[listAt] === 0xd0 ? 5 : 2);
    assert.equal(performativeCode(body, 0, body.length), PerformativeCode.transfer);
    assert.equal(decodeTransfer(body, 0, body.length, transferFields), undefined, text);
    const { handle, deliveryId, settled, more } = transferFields;
    assert.deepEqual([handle, deliveryId, settled, more, deliveryTagOf(body, transferFields)], [0, 1, true, false, 'a']);
  }
});
