import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmqpFault } from './amqp-fault.ts';
import { encodeValue } from './value-writer.ts';
import { FrameReader, FrameType, minMaxFrameSize, ProtocolId } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { numberOfTag, numberTagBytes, OutgoingTransfer, tagOfNumber } from './outgoing-transfer.ts';
import { decodePerformative } from './performative-codec.ts';
import type { Performative } from './performatives.ts';
import { deliveryStates, performatives, saslFrames, tags, uint32s } from './testing/arbitraries.ts';
import { bytewise, outputOf, readFrames } from './testing/frames.ts';
import { latin1Of } from './text.ts';
import { decodeTransfer, deliveryTagOf, TransferFields } from './transfer-fields.ts';

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

const header = '414d515000010000';
const close = '0000000c 02 00 0000 00531845';

test('headers and frames are read as the specification draws them', () => {
  const open = '00000011 02 00 0000 005310 c00401a10161';
  const empty = '00000008 02 00 ffff';
  const extended = '00000010 03 00 0102 deadbeef 00531745';
  const bytes = hex(`414d515003010000 00000010 02 01 0000 005344c003015000 ${header} ${open} ${empty} ${extended}`);
  const expected = [
    { header: [3, 1, 0, 0] },
    { type: 1, channel: 0, body: hex('005344c003015000') },
    { header: [0, 1, 0, 0] },
    { type: 0, channel: 0, body: hex('005310c00401a10161') },
    { type: 0, channel: 0xffff, body: hex('') },
    { type: 0, channel: 0x0102, body: hex('00531745') },
  ];
  const whole = readFrames([bytes], 512, 2);
  assert.deepEqual(whole.frames, expected);
  assert.equal(whole.fault, undefined);
  assert.equal(whole.mostBuffered, 0);
  assert.deepEqual(readFrames(bytewise(bytes), 512, 2).frames, expected);
  for (let cut = 1; cut < bytes.length; cut++) {
    const { frames, fault } = readFrames([bytes.subarray(0, cut), bytes.subarray(cut)], 512, 2);
    assert.equal(fault, undefined);
    assert.deepEqual(frames, expected);
  }
});

test('frames in any pieces are the same frames', () => {
  const frame = fc.oneof(
    fc
      .tuple(performatives, fc.nat(0xffff))
      .map(([performative, channel]) => outputOf((o) => void new FrameWriter(o, 1e6).performative(channel, performative))),
    saslFrames.map((frame) => outputOf((o) => void new FrameWriter(o, 1e6).sasl(frame))),
    fc.constant(outputOf((o) => new FrameWriter(o).empty())),
  );
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 5 }), fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (parts, sizes) => {
      const bytes = Buffer.concat([outputOf((o) => new FrameWriter(o).protocolHeader(ProtocolId.amqp)), ...parts]);
      const whole = readFrames([bytes], 1e6);
      assert.equal(whole.frames.length, parts.length + 1);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length;) {
        const size = sizes.next().value;
        pieces.push(bytes.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(readFrames(pieces, 1e6).frames, whole.frames);
      assert.deepEqual(readFrames(bytewise(bytes), 1e6).frames, whole.frames);
    }),
    { numRuns: 100 },
  );
});

test('what is no protocol header is refused at its first wrong byte', () => {
  for (const text of ['00', '4142', '414d51 00', '47455420', '100c00044d515454']) {
    const bytes = hex(text);
    const all = readFrames([bytes]);
    assert.equal(all.fault?.condition, 'amqp:connection:framing-error');
    assert.match(all.fault.message, /no AMQP protocol header/);
    assert.ok(readFrames(bytewise(bytes)).fault instanceof AmqpFault);
  }
  const reader = new FrameReader();
  reader.push(hex('414d51'), never);
  assert.equal(reader.expectsHeader, true);
  reader.push(hex('5000010000'), { protocolHeader: () => true, frame: () => assert.fail() });
  assert.equal(reader.expectsHeader, false);
  assert.equal(reader.bufferedBytes, 0);
});

const never = { protocolHeader: () => assert.fail('a header'), frame: () => assert.fail('a frame') };

test('frames of a wrong form are refused, however they arrive', () => {
  const cases: readonly (readonly [bytes: string, why: RegExp])[] = [
    ['00000007 02000000', /shorter than its header/],
    ['00000000', /shorter than its header/],
    ['00000201', /more than 512 bytes/],
    ['ffffffff 02000000', /more than 512 bytes/],
    ['0000000c 01 000000 00531845', /data offset/],
    ['0000000c 00 000000 00531845', /data offset/],
    ['0000000c 04 000000 00531845', /data offset/],
    ['0000000c ff 000000', /data offset/],
  ];
  for (const [text, why] of cases) {
    const bytes = hex(`${header} ${close} ${text}`);
    for (const pieces of [[bytes], bytewise(bytes), [bytes.subarray(0, 22), bytes.subarray(22)]]) {
      const { frames, fault, mostBuffered } = readFrames(pieces, minMaxFrameSize);
      assert.equal(frames.length, 2, text);
      assert.match(fault!.message, why);
      assert.equal(fault!.condition, 'amqp:connection:framing-error');
      assert.ok(mostBuffered <= 1024);
    }
  }
});

test('memory follows what was sent, not what was announced', () => {
  const reader = new FrameReader(100_000_000);
  reader.push(hex(header), { protocolHeader: () => true, frame: () => true });
  reader.push(hex('05f5e100 02000000'), never);
  assert.ok(reader.bufferedBytes <= 1024);
  let sent = 8;
  for (let i = 0; i < 200; i++) {
    reader.push(new Uint8Array(997), never);
    sent += 997;
    assert.ok(reader.bufferedBytes <= Math.max(1024, 2 * sent));
  }
});

test('a sink may stop, and change what comes next', () => {
  const bytes = hex(`${header} ${close} ${close}`);
  let frames = 0;
  const reader = new FrameReader();
  const fault = reader.push(bytes, {
    protocolHeader: () => true,
    frame() {
      frames++;
      return false;
    },
  });
  assert.equal(fault, undefined);
  assert.equal(frames, 1);
  const growing = new FrameReader(12);
  const large = new Uint8Array(600);
  large.set(hex('00000258 02000000'));
  const sizes: number[] = [];
  growing.push(Buffer.concat([bytes.subarray(0, 20), large]), {
    protocolHeader: () => true,
    frame(_type, _channel, _bytes, start, end) {
      sizes.push(end - start);
      growing.maxFrameSize = 600;
      return true;
    },
  });
  assert.deepEqual(sizes, [4, 592]);
});

test('a frame larger than the peer takes is not written', () => {
  const bytes = outputOf((output) => {
    const writer = new FrameWriter(output, 512);
    const fault = writer.performative(0, { type: 'open', containerId: 'x'.repeat(600) });
    assert.equal(fault?.condition, 'amqp:frame-size-too-small');
    assert.equal(writer.performative(0, { type: 'open', containerId: 'x'.repeat(487) })?.condition, undefined);
    assert.equal(writer.performative(0, { type: 'open', containerId: 'x'.repeat(488) })?.condition, 'amqp:frame-size-too-small');
  });
  assert.equal(bytes.length, 512);
});

type Sent = { readonly fields: TransferFields; readonly tag: string; readonly payload: Uint8Array; readonly size: number };

function sentTransfers(bytes: Uint8Array, maxFrameSize: number): Sent[] {
  const stream = readFrames([hex(header), bytes], maxFrameSize);
  assert.equal(stream.fault, undefined);
  return stream.frames.slice(1).map((frame) => {
    assert.ok('body' in frame);
    const { body } = frame;
    const fields = new TransferFields();
    assert.equal(decodeTransfer(body, 0, body.length, fields), undefined);
    return {
      fields,
      tag: deliveryTagOf(body, fields),
      payload: body.subarray(fields.payloadStart, fields.payloadEnd),
      size: 8 + body.length,
    };
  });
}

test('a delivery goes out in as many frames as it needs, and not in more than are allowed now', () => {
  const piece = fc.uint8Array({ maxLength: 3000, size: 'max' });
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 4 }),
      fc.record({
        handle: uint32s,
        deliveryId: uint32s,
        tag: fc.oneof(tags, fc.maxSafeNat()),
        settled: fc.boolean(),
        resume: fc.boolean(),
        batchable: fc.boolean(),
        rcvSettleMode: fc.integer({ min: -1, max: 1 }),
        state: fc.option(deliveryStates, { nil: undefined }),
      }),
      fc.constantFrom(512, 600, 4096, 5000, 65_536),
      fc.nat(5),
      (pieces, chosen, maxFrameSize, window) => {
        fc.pre(chosen.state === undefined || encodedLength(chosen.state) < 300);
        const transfer = new OutgoingTransfer();
        transfer.begin(chosen.handle, chosen.deliveryId, typeof chosen.tag === 'number' ? chosen.tag : 0);
        if (typeof chosen.tag !== 'number') transfer.tagBytes = chosen.tag;
        const { settled, resume, batchable, rcvSettleMode, state } = chosen;
        Object.assign(transfer, { settled, resume, batchable, rcvSettleMode, state });
        for (const bytes of pieces) transfer.add(Buffer.concat([new Uint8Array(3), bytes, new Uint8Array(2)]), 3, 3 + bytes.length);
        let frames = 0;
        const bytes = outputOf((output) => {
          const writer = new FrameWriter(output, maxFrameSize);
          const first = writer.transfer(9, transfer, window);
          assert.ok(first <= window);
          assert.equal(transfer.done, first < window || transfer.remaining === 0 ? transfer.begun : false);
          frames = first + writer.transfer(9, transfer, Infinity);
        });
        assert.equal(transfer.done, true);
        const sent = sentTransfers(bytes, maxFrameSize);
        assert.equal(sent.length, frames);
        assert.deepEqual(Buffer.concat(sent.map(({ payload }) => payload)), Buffer.concat(pieces));
        const [first] = sent;
        const { fields } = first!;
        assert.equal(first!.tag, typeof chosen.tag === 'number' ? tagOfNumber(chosen.tag) : latin1Of(chosen.tag, 0, chosen.tag.length));
        const { messageFormat } = fields;
        assert.equal(fields.deliveryId, chosen.deliveryId);
        assert.deepEqual(
          [messageFormat, fields.settled, fields.resume, fields.aborted, fields.batchable, fields.rcvSettleMode, fields.state],
          [0, settled, resume, false, batchable, rcvSettleMode, state],
        );
        sent.forEach(({ fields, size }, i) => {
          assert.equal(fields.handle, chosen.handle);
          assert.equal(fields.more, i < sent.length - 1);
          assert.equal(size === maxFrameSize || i === sent.length - 1, true);
          if (i > 0) assert.equal(fields.deliveryId, -1);
        });
      },
    ),
    { numRuns: 300 },
  );
});

function encodedLength(state: unknown): number {
  return outputOf((output) => {
    const disposition = { type: 'disposition', role: 'sender', first: 0, state } as Performative;
    new FrameWriter(output, 1e6).performative(0, disposition);
  }).length;
}

test('a delivery can be aborted', () => {
  const [sent] = sentTransfers(
    outputOf((output) => new FrameWriter(output).abort(1, 7)),
    512,
  );
  assert.deepEqual([sent!.fields.handle, sent!.fields.aborted, sent!.fields.more, sent!.payload.length], [7, true, false, 0]);
});

test('dispositions are written as the objects would be', () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      uint32s,
      uint32s,
      fc.boolean(),
      fc.option(deliveryStates, { nil: undefined }),
      fc.boolean(),
      (receiver, first, last, settled, state, batchable) => {
        const bytes = outputOf((output) => new FrameWriter(output, 1e6).disposition(3, receiver, first, last, settled, state, batchable));
        const { frames } = readFrames([hex(header), bytes], 1e6);
        const frame = frames[1]!;
        assert.ok('body' in frame && frame.type === FrameType.amqp && frame.channel === 3);
        const read = decodePerformative(frame.body, 0, frame.body.length);
        assert.ok(!(read instanceof AmqpFault) && read.type === 'disposition');
        const { role, first: readFirst, last: readLast = first, settled: readSettled = false, batchable: readBatchable = false } = read;
        assert.deepEqual(
          [role, readFirst, readLast, readSettled, readBatchable],
          [receiver ? 'receiver' : 'sender', first, last, settled, batchable],
        );
        assert.deepEqual(read.state, state);
      },
    ),
    { numRuns: 300 },
  );
  const small = outputOf((output) => new FrameWriter(output).disposition(0, true, 0, 0, false, undefined));
  assert.equal(Buffer.from(small).toString('hex'), '0000001002000000005315c003024143');
});

test('tags that are numbers are their shortest bytes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 255, 256, 65_535, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER)), (number) => {
      const tag = tagOfNumber(number);
      assert.equal(numberOfTag(tag), number);
      assert.equal(numberTagBytes(number), tag.length);
      const expected = number.toString(16);
      assert.equal(Buffer.from(tag, 'latin1').toString('hex'), expected.padStart(expected.length + (expected.length % 2), '0'));
    }),
  );
  for (const tag of ['', '\0a', '\u0100', '\u0020\0\0\0\0\0\0', '12345678']) assert.equal(numberOfTag(tag), -1);
});

test('an output that grows in the midst of a delivery keeps it whole', () => {
  const bytes = outputOf((output) => {
    const writer = new FrameWriter(output, 65_536);
    for (let i = 0; i < 300; i++) {
      const payload = encodeValue({ type: 'binary', value: new Uint8Array(i * 7).fill(i) });
      writer.transfer(0, new OutgoingTransfer().begin(0, i, i).add(payload, 0, payload.length), 1);
    }
  });
  const sent = sentTransfers(bytes, 65_536);
  sent.forEach(({ fields, payload }, i) => {
    assert.equal(fields.deliveryId, i);
    assert.deepEqual(payload, encodeValue({ type: 'binary', value: new Uint8Array(i * 7).fill(i) }));
  });
});
