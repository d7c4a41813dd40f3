// Any stream of bytes into the AMQP codec. The first byte of an input says how large frames may be, the second how the stream is cut; the
// rest is the stream, behind a protocol header unless it begins with one.

import assert from 'node:assert/strict';
import * as codec from '../../../src/protocols/amqp/codec/index.ts';
import { mutateAmqpFrames } from '../amqp-frames.ts';
import { amqpFrames, amqpWords } from '../amqp-seeds.ts';
import type { Target } from '../target.ts';

const headerBytes = 2;
const protocolHeader = Uint8Array.of(0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0);

type Frame = { readonly type: number; readonly channel: number; readonly body: Uint8Array };

function run(input: Uint8Array): readonly string[] {
  if (input.length < headerBytes) return [];
  const maxFrameSize = (input[0]! & 1) === 0 ? codec.minMaxFrameSize : 4096;
  const stream = input.subarray(headerBytes);
  const whole = read(stream, maxFrameSize, stream.length);
  const cut = read(stream, maxFrameSize, 1 + (input[1]! % 16));
  assert.deepEqual(cut.frames, whole.frames, 'the frames depend on how the stream is cut');
  assert.equal(cut.fault?.message, whole.fault?.message, 'the fault depends on how the stream is cut');
  const seen: string[] = whole.fault === undefined ? [] : [inWords(whole.fault)];
  for (const { type, body } of whole.frames) seen.push(type === codec.FrameType.sasl ? checkSasl(body) : check(body));
  return seen;
}

function read(stream: Uint8Array, maxFrameSize: number, pieceBytes: number): { frames: Frame[]; fault: codec.AmqpFault | undefined } {
  const frames: Frame[] = [];
  const reader = new codec.FrameReader(maxFrameSize);
  const sink: codec.FrameSink = {
    protocolHeader: () => true,
    frame(type, channel, bytes, start, end) {
      assert.ok(start >= 0 && start <= end && end <= bytes.length && end - start <= maxFrameSize);
      frames.push({ type, channel, body: bytes.slice(start, end) });
      return true;
    },
  };
  if (stream[0] !== protocolHeader[0]) assert.equal(reader.push(protocolHeader, sink), undefined);
  for (let at = 0; at < stream.length; at += pieceBytes) {
    // Bytes after the end of a piece must not matter: a piece is a copy of its own.
    const fault = reader.push(stream.slice(at, at + pieceBytes), sink);
    if (fault !== undefined) return { frames, fault };
    assert.ok(reader.bufferedBytes <= Math.max(1024, 2 * (at + pieceBytes)), 'more memory is held than was received');
    assert.ok(reader.bufferedBytes <= Math.max(1024, maxFrameSize), 'more memory is held than a frame may have');
  }
  return { frames, fault: undefined };
}

function inWords(fault: codec.AmqpFault): string {
  assert.ok(fault.message.length > 0 && fault.message.length < 200);
  assert.match(fault.condition, /^amqp:/);
  return `${fault.condition}: ${fault.message.replace(/\d+/g, 'N')}`;
}

function checkSasl(body: Uint8Array): string {
  const frame = codec.decodeSaslFrame(body, 0, body.length);
  if (frame instanceof codec.AmqpFault) return inWords(frame);
  const writer = new codec.ValueWriter();
  codec.writeSaslFrame(writer, frame);
  assert.deepEqual(codec.decodeSaslFrame(writer.copy(), 0, writer.length), frame, `${frame.type} is not the same after being written`);
  return frame.type;
}

/** A body of type AMQP: both ways of reading agree, and what is written again is read again. */
function check(body: Uint8Array): string {
  if (body.length === 0) return 'empty';
  const end = body.length;
  const code = codec.performativeCode(body, 0, end);
  const performative = codec.decodePerformative(body, 0, end);
  const quick = quickly(code, body);
  if (performative instanceof codec.AmqpFault) {
    if (quick !== 'another') assert.ok(quick instanceof codec.AmqpFault, 'refused as an object, but not as fields');
    return inWords(performative);
  }
  assert.equal(code, codec.PerformativeCode[performative.type]);
  if (quick !== 'another') assert.equal(quick, undefined, 'refused as fields, but not as an object');
  const writer = new codec.ValueWriter();
  codec.writePerformative(writer, performative);
  assert.deepEqual(codec.decodePerformative(writer.copy(), 0, writer.length), performative, 'not the same after being written');
  assert.ok(writer.length <= end, 'what is written is longer than what was read');
  if (performative.type !== 'transfer') return `${performative.type}: ${Object.keys(performative).length}`;
  assert.equal(transferFields.handle, performative.handle);
  assert.deepEqual(transferFields.state, performative.state);
  return `transfer: ${checkMessage(body, transferFields.payloadStart, end)}`;
}

const transferFields = new codec.TransferFields();
const dispositionFields = new codec.DispositionFields();
const flowFields = new codec.FlowFields();

function quickly(code: number, body: Uint8Array): codec.AmqpFault | undefined | 'another' {
  if (code === codec.PerformativeCode.transfer) return codec.decodeTransfer(body, 0, body.length, transferFields);
  if (code === codec.PerformativeCode.disposition) return codec.decodeDisposition(body, 0, body.length, dispositionFields);
  return code === codec.PerformativeCode.flow ? codec.decodeFlow(body, 0, body.length, flowFields) : 'another';
}

const sections = new codec.MessageSections();
const header = new codec.HeaderFields();

function checkMessage(bytes: Uint8Array, start: number, end: number): string {
  const fault = codec.scanMessage(bytes, start, end, sections);
  if (fault !== undefined) return inWords(fault);
  const found = [`body ${sections.bodyKind.toString(16)}`];
  assert.ok(sections.keptStart >= start && sections.keptStart <= end);
  if (sections.headerStart >= 0) {
    const fault = codec.decodeHeader(bytes, sections.headerStart, sections.headerEnd, header);
    found.push(fault === undefined ? 'header' : inWords(fault));
    if (fault === undefined) checkHeader();
  }
  if (sections.propertiesStart >= 0) {
    const properties = codec.decodeProperties(bytes, sections.propertiesStart, sections.propertiesEnd);
    found.push(properties instanceof codec.AmqpFault ? inWords(properties) : `properties ${Object.keys(properties).length}`);
  }
  if (sections.applicationPropertiesStart >= 0) {
    const entries = codec.decodeMap(bytes, sections.applicationPropertiesStart, sections.applicationPropertiesEnd);
    found.push(entries instanceof codec.AmqpFault ? inWords(entries) : `properties ${entries.length}`);
  }
  if (sections.bodyKind === codec.SectionCode.value) found.push(checkValue(bytes, sections.bodyStart, sections.bodyEnd));
  if (sections.bodyKind === codec.SectionCode.data) checkData(bytes, end);
  return found.join(', ');
}

function checkHeader(): void {
  const buffer = new Uint8Array(codec.maxHeaderBytes);
  const length = codec.writeHeader(buffer, 0, header);
  const again = new codec.HeaderFields();
  if (length > 0) assert.equal(codec.decodeHeader(buffer, 3, length, again), undefined);
  assert.deepEqual(again, header, 'a header is not the same after being written');
}

function checkData(bytes: Uint8Array, end: number): void {
  let count = 0;
  codec.eachDataSection(bytes, sections, (from, to) => {
    assert.ok(from <= to && to <= end);
    count++;
  });
  assert.equal(count, sections.bodyCount);
}

function checkValue(bytes: Uint8Array, start: number, end: number): string {
  const coordination = codec.decodeCoordination(bytes, start, end);
  const value = codec.decodeValue(bytes, start, end);
  if (value instanceof codec.AmqpFault) {
    assert.ok(coordination instanceof codec.AmqpFault);
    return inWords(value);
  }
  const again = codec.encodeValue(value);
  assert.deepEqual(codec.decodeValue(again), value, 'a value is not the same after being written');
  assert.deepEqual(codec.encodeValue(codec.decodeValue(again) as codec.AmqpValue), again, 'a value is not written the same again');
  return `${value.type} ${coordination instanceof codec.AmqpFault ? '' : coordination.type}`;
}

export const target: Target = {
  name: 'amqp-codec',
  properties: [
    'nothing throws, whatever comes',
    'frames and faults do not depend on how the stream is cut',
    'a cut frame holds no more memory than was received, twice over, and never more than the largest frame',
    'what is refused is refused with a condition and a short text',
    'what was read, written and read again is the same, and no longer',
    'transfers, dispositions and flows are refused as fields exactly if they are as objects',
  ],
  covers: /\/src\/protocols\/amqp\/codec\//,
  maxBytes: 8192,
  slowMs: 200,
  seeds: [...amqpFrames(), protocolHeader].map((bytes) => Uint8Array.of(1, 6, ...bytes)),
  dictionary: amqpWords,
  mutate: (input, random, other) => mutateAmqpFrames(input, headerBytes, random, other, amqpWords),
  run,
};
