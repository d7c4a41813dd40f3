// How long one frame takes in the AMQP codec, in nanoseconds; run by hand: node bench/amqp-codec.ts

import { Output, recycleChunk } from '../src/base/output.ts';
import {
  acceptedState,
  decodeDisposition,
  decodeFlow,
  decodeHeader,
  decodeProperties,
  decodeTransfer,
  DispositionFields,
  FlowFields,
  FrameReader,
  type FrameSink,
  FrameWriter,
  HeaderFields,
  maxHeaderBytes,
  MessageSections,
  OutgoingTransfer,
  performativeCode,
  PerformativeCode,
  scanMessage,
  stringValue,
  TransferFields,
  ValueWriter,
  writeHeader,
  writeDataHead,
  writeMapSection,
  writePropertiesSection,
  SectionCode,
} from '../src/protocols/amqp/codec/index.ts';

const framesPerChunk = 400;
const rounds = 9;
const maxFrameSize = 65_536;

function time(name: string, operations: number, run: () => void): void {
  for (let i = 0; i < 40; i++) run();
  const results: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < 25; i++) run();
    results.push(Number(process.hrtime.bigint() - start) / (25 * operations));
  }
  results.sort((a, b) => a - b);
  const median = results[rounds >> 1]!;
  console.log(`${name.padEnd(56)} ${median.toFixed(1).padStart(8)} ns ${(1000 / median).toFixed(1).padStart(8)} M/s`);
}

/** Header section, data section of `payloadBytes`. */
function message(payloadBytes: number): { readonly head: Uint8Array; readonly payload: Uint8Array } {
  const header = new Uint8Array(maxHeaderBytes);
  const headerEnd = writeHeader(header, 0, { durable: true, priority: 4, ttl: -1, firstAcquirer: false, deliveryCount: 0 });
  const writer = new ValueWriter();
  writer.raw(header, 0, headerEnd);
  writeDataHead(writer, payloadBytes);
  return { head: writer.copy(), payload: new Uint8Array(payloadBytes).fill(7) };
}

const output = new Output(() => {});
const writer = new FrameWriter(output, maxFrameSize);
const transfer = new OutgoingTransfer();
const transferFields = new TransferFields();
const dispositionFields = new DispositionFields();
const flowFields = new FlowFields();
const sections = new MessageSections();
const header = new HeaderFields();

function drain(): void {
  for (const chunk of output.takeChunks()) recycleChunk(chunk);
}

let sum = 0;

/** What a connection does with a frame. */
const sink: FrameSink & { scan: boolean } = {
  scan: false,
  protocolHeader: () => true,
  frame(_type, channel, bytes, start, end) {
    let fault;
    switch (performativeCode(bytes, start, end)) {
      case PerformativeCode.transfer:
        fault = decodeTransfer(bytes, start, end, transferFields);
        if (this.scan) {
          fault ??= scanMessage(bytes, transferFields.payloadStart, transferFields.payloadEnd, sections);
          fault ??= decodeHeader(bytes, sections.headerStart, sections.headerEnd, header);
        }
        sum += transferFields.deliveryId + transferFields.payloadEnd;
        break;
      case PerformativeCode.disposition:
        fault = decodeDisposition(bytes, start, end, dispositionFields);
        sum += dispositionFields.last;
        break;
      case PerformativeCode.flow:
        fault = decodeFlow(bytes, start, end, flowFields);
        sum += flowFields.linkCredit;
        break;
      default:
        throw new Error('another performative');
    }
    if (fault !== undefined) throw new Error(fault.message);
    sum += channel;
    return true;
  },
};

function benchRead(name: string, write: (i: number) => void, scan = false): void {
  writer.protocolHeader(0);
  for (let i = 0; i < framesPerChunk; i++) write(i);
  const chunk = Buffer.concat(output.takeChunks());
  const reader = new FrameReader(maxFrameSize);
  reader.push(chunk.subarray(0, 8), sink);
  sink.scan = scan;
  const frames = chunk.subarray(8);
  time(`read ${name}`, framesPerChunk, () => {
    if (reader.push(frames, sink) !== undefined) throw new Error('refused');
  });
}

function benchWrite(name: string, write: (i: number) => void): void {
  time(`write ${name}`, framesPerChunk, () => {
    for (let i = 0; i < framesPerChunk; i++) write(i);
    drain();
  });
}

function writeTransfer(i: number, { head, payload }: ReturnType<typeof message>, settled: boolean, tag = 1_000_000 + i): void {
  transfer.begin(3, 70_000 + i, tag);
  transfer.settled = settled;
  transfer.add(head, 0, head.length).add(payload, 0, payload.length);
  writer.transfer(5, transfer, 1);
}

const small = message(64);
for (const settled of [true, false])
  benchRead(`transfer, 64 bytes, ${settled ? 'settled' : 'unsettled'}`, (i) => writeTransfer(i, small, settled));
benchRead('transfer, 64 bytes, with its sections and header', (i) => writeTransfer(i, small, true), true);
benchRead('disposition, accepted', (i) => void writer.disposition(5, true, 70_000 + i, 70_000 + i, true, acceptedState));
benchRead(
  'flow',
  (i) =>
    void writer.flow(5, {
      type: 'flow',
      nextIncomingId: i,
      incomingWindow: 2048,
      nextOutgoingId: 0,
      outgoingWindow: 2048,
      handle: 3,
      deliveryCount: i,
      linkCredit: 500,
    }),
);
for (const bytes of [16, 64, 200, 1000, 10_000]) {
  const sized = message(bytes);
  benchWrite(`transfer, ${bytes} bytes`, (i) => writeTransfer(i, sized, true));
}
benchWrite('disposition, accepted', (i) => void writer.disposition(5, true, 70_000 + i, 70_000 + i, true, acceptedState));
benchWrite(
  'flow',
  (i) =>
    void writer.flow(5, {
      type: 'flow',
      nextIncomingId: i,
      incomingWindow: 2048,
      nextOutgoingId: 0,
      outgoingWindow: 2048,
      handle: 3,
      deliveryCount: i,
      linkCredit: 500,
    }),
);

{
  const values = new ValueWriter();
  writePropertiesSection(values, {
    type: 'properties',
    messageId: stringValue('ID:1234-5678') as never,
    to: 'queue:jobs',
    contentType: 'application/json',
    creationTime: 1_700_000_000_000,
  });
  const end = values.length;
  writeMapSection(values, SectionCode.applicationProperties, [
    [stringValue('unit'), stringValue('celsius')],
    [stringValue('line'), { type: 'int', value: 7 }],
  ]);
  const bytes = values.copy();
  time('read properties of four fields', framesPerChunk, () => {
    for (let i = 0; i < framesPerChunk; i++) if ('condition' in decodeProperties(bytes, 3, end)) throw new Error('refused');
  });
  time('find sections of properties and application properties', framesPerChunk, () => {
    for (let i = 0; i < framesPerChunk; i++) if (scanMessage(bytes, 0, bytes.length, sections) !== undefined) throw new Error('refused');
  });
}
if (sum === 0) throw new Error('nothing was read');
