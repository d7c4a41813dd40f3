// Good AMQP frames to start from, and pieces that are hard to guess.

import { Output } from '../../src/base/output.ts';
import * as codec from '../../src/protocols/amqp/codec/index.ts';

const string = codec.stringValue;
const symbol = codec.symbolValue;
const txnId = Uint8Array.of(1, 2, 3);
const selector: codec.AmqpValue = {
  type: 'described',
  descriptor: { type: 'ulong', value: 0x468c00000004n },
  value: string("colour = 'red'"),
};

const performatives: readonly codec.Performative[] = [
  {
    type: 'open',
    containerId: 'c1',
    hostname: 'h',
    maxFrameSize: 4096,
    channelMax: 10,
    idleTimeOut: 30_000,
    outgoingLocales: ['en-US'],
    offeredCapabilities: ['a', 'b'],
    desiredCapabilities: ['ANONYMOUS-RELAY'],
    properties: new Map([['product', string('x')]]),
  },
  { type: 'begin', nextOutgoingId: 0, incomingWindow: 2048, outgoingWindow: 2048, handleMax: 255 },
  { type: 'begin', remoteChannel: 1, nextOutgoingId: 1, incomingWindow: 100_000, outgoingWindow: 0 },
  {
    type: 'attach',
    name: 'l1',
    handle: 0,
    role: 'receiver',
    sndSettleMode: 0,
    rcvSettleMode: 1,
    source: {
      type: 'source',
      address: 'a/+/c',
      durable: 2,
      expiryPolicy: 'never',
      timeout: 60,
      dynamic: false,
      distributionMode: 'copy',
      filter: new Map([['s', selector]]),
      defaultOutcome: { type: 'modified', deliveryFailed: true },
      outcomes: ['amqp:accepted:list', 'amqp:rejected:list'],
      capabilities: ['topic', 'shared'],
    },
    target: { type: 'target', address: 't' },
    unsettled: new Map<string, codec.DeliveryState | undefined>([
      ['\u0001', undefined],
      ['\u0002', { type: 'received', sectionNumber: 1, sectionOffset: 300n }],
      ['\u0003', { type: 'transactional-state', txnId, outcome: { type: 'accepted' } }],
    ]),
    initialDeliveryCount: 0,
    maxMessageSize: 1_000_000n,
  },
  { type: 'attach', name: 'tx', handle: 1, role: 'sender', target: { type: 'coordinator', capabilities: ['amqp:local-transactions'] } },
  {
    type: 'attach',
    name: 'dyn',
    handle: 2,
    role: 'receiver',
    source: {
      type: 'source',
      dynamic: true,
      dynamicNodeProperties: new Map([['lifetime-policy', codec.lifetimePolicyValue('delete-on-close')]]),
    },
  },
  { type: 'flow', incomingWindow: 1, nextOutgoingId: 2, outgoingWindow: 3 },
  {
    type: 'flow',
    nextIncomingId: 1,
    incomingWindow: 1,
    nextOutgoingId: 2,
    outgoingWindow: 3,
    handle: 0,
    deliveryCount: 4,
    linkCredit: 100,
    available: 0,
    drain: true,
    echo: true,
    properties: new Map([['p', { type: 'int', value: -1 }]]),
  },
  { type: 'disposition', role: 'receiver', first: 1, last: 9, settled: true, state: { type: 'accepted' }, batchable: true },
  {
    type: 'disposition',
    role: 'receiver',
    first: 1,
    state: {
      type: 'rejected',
      error: { type: 'error', condition: 'amqp:decode-error', description: 'no', info: new Map([['k', string('v')]]) },
    },
  },
  {
    type: 'disposition',
    role: 'sender',
    first: 1,
    state: { type: 'modified', undeliverableHere: true, messageAnnotations: new Map([['x', symbol('y')]]) },
  },
  { type: 'disposition', role: 'sender', first: 1, state: { type: 'declared', txnId } },
  { type: 'detach', handle: 0, closed: true, error: { type: 'error', condition: 'amqp:link:stolen' } },
  { type: 'end' },
  { type: 'close', error: { type: 'error', condition: 'amqp:connection:forced', description: 'bye' } },
];

const saslFrames: readonly codec.SaslFrame[] = [
  { type: 'sasl-mechanisms', saslServerMechanisms: ['PLAIN', 'EXTERNAL'] },
  { type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Uint8Array.of(0, 97, 0, 98), hostname: 'h' },
  { type: 'sasl-challenge', challenge: Uint8Array.of(1) },
  { type: 'sasl-response', response: Uint8Array.of(2) },
  { type: 'sasl-outcome', code: 0, additionalData: Uint8Array.of(3) },
];

/** Values of every type, as a message's body. */
const everything: codec.AmqpValue = {
  type: 'list',
  value: [
    { type: 'null', value: null },
    { type: 'boolean', value: true },
    { type: 'ubyte', value: 7 },
    { type: 'ushort', value: 700 },
    { type: 'uint', value: 70_000 },
    { type: 'ulong', value: 7n },
    { type: 'byte', value: -7 },
    { type: 'short', value: -700 },
    { type: 'int', value: -7 },
    { type: 'long', value: -70_000_000_000n },
    { type: 'float', value: 0.5 },
    { type: 'double', value: Number.NaN },
    { type: 'decimal32', value: new Uint8Array(4) },
    { type: 'decimal64', value: new Uint8Array(8) },
    { type: 'decimal128', value: new Uint8Array(16) },
    { type: 'char', value: 0x1f600 },
    { type: 'timestamp', value: 1_700_000_000_000n },
    { type: 'uuid', value: '00112233-4455-6677-8899-aabbccddeeff' },
    { type: 'binary', value: new Uint8Array(3) },
    string('é'),
    symbol('s'),
    {
      type: 'map',
      value: [
        [
          { type: 'int', value: 1 },
          { type: 'list', value: [] },
        ],
      ],
    },
    { type: 'array', of: 'symbol', value: [symbol('a'), symbol('b')] },
    { type: 'array', of: 'list', descriptors: [{ type: 'ulong', value: 9n }], value: [{ type: 'list', value: [string('x')] }] },
    { type: 'array', of: 'array', value: [{ type: 'array', of: 'null', value: [{ type: 'null', value: null }] }] },
  ],
};

function message(write: (writer: codec.ValueWriter) => void): Uint8Array {
  const writer = new codec.ValueWriter();
  const header = new Uint8Array(codec.maxHeaderBytes);
  writer.raw(header, 0, codec.writeHeader(header, 0, { durable: true, priority: 7, ttl: 1000, firstAcquirer: true, deliveryCount: 2 }));
  write(writer);
  return writer.copy();
}

const messages: readonly Uint8Array[] = [
  message((writer) => {
    codec.writeMapSection(writer, codec.SectionCode.deliveryAnnotations, [[symbol('x-opt-a'), string('b')]]);
    codec.writeMapSection(writer, codec.SectionCode.messageAnnotations, [[symbol('x-opt-delay'), { type: 'uint', value: 9 }]]);
    codec.writePropertiesSection(writer, {
      type: 'properties',
      messageId: { type: 'uuid', value: '00112233-4455-6677-8899-aabbccddeeff' },
      userId: Uint8Array.of(1),
      to: 'a/b',
      subject: 's',
      replyTo: 'queue:r',
      correlationId: { type: 'ulong', value: 7n },
      contentType: 'text/plain',
      contentEncoding: 'gzip',
      absoluteExpiryTime: 1,
      creationTime: 2,
      groupId: 'g',
      groupSequence: 3,
      replyToGroupId: 'h',
    });
    codec.writeMapSection(writer, codec.SectionCode.applicationProperties, [[string('k'), { type: 'double', value: 1.5 }]]);
    codec.writeDataHead(writer, 5);
    writer.raw(Uint8Array.of(1, 2, 3, 4, 5));
    codec.writeMapSection(writer, codec.SectionCode.footer, [[symbol('f'), { type: 'boolean', value: true }]]);
  }),
  message((writer) => {
    writer.descriptor(codec.SectionCode.value);
    writer.value(everything);
  }),
  message((writer) => {
    for (let i = 0; i < 2; i++) {
      writer.descriptor(codec.SectionCode.sequence);
      writer.value({ type: 'list', value: [string('a')] });
    }
  }),
  message((writer) => {
    writer.descriptor(codec.SectionCode.value);
    codec.writeCoordination(writer, { type: 'discharge', txnId, fail: true });
  }),
  message((writer) => {
    writer.descriptor(codec.SectionCode.value);
    codec.writeCoordination(writer, { type: 'declare' });
  }),
];

function frameOf(write: (writer: codec.FrameWriter) => void): Uint8Array {
  const output = new Output(() => {});
  write(new codec.FrameWriter(output, 65_536));
  return new Uint8Array(Buffer.concat(output.takeChunks()));
}

/** One frame of each kind, and each message in a transfer. */
export function amqpFrames(): Uint8Array[] {
  return [
    ...saslFrames.map((sasl) => frameOf((writer) => void writer.sasl(sasl))),
    ...performatives.map((performative, i) => frameOf((writer) => void writer.performative(i % 3, performative))),
    ...messages.map((bytes, i) =>
      frameOf((writer) => {
        const transfer = new codec.OutgoingTransfer().begin(0, i, i + 255);
        transfer.settled = i === 1;
        if (i === 2) transfer.state = { type: 'transactional-state', txnId };
        writer.transfer(0, transfer.add(bytes, 0, bytes.length), 1);
      }),
    ),
    frameOf((writer) => writer.abort(0, 0)),
    frameOf((writer) => writer.empty()),
  ];
}

/** Values that are hard to guess. */
export const amqpWords: readonly Uint8Array[] = [
  ...['amqp:accepted:list', 'amqp:open:list', 'amqp:transfer:list', 'amqp:data:binary', 'amqp:amqp-value:*'].map((name) =>
    codec.encodeValue(symbol(name)),
  ),
  ...[
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x1d, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x30, 0x33, 0x34, 0x75, 0x77,
  ].map((code) => Uint8Array.of(0, 0x53, code, 0x45)),
  ...(everything.value as readonly codec.AmqpValue[]).map(codec.encodeValue),
  codec.encodeValue(everything),
  Uint8Array.of(0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40),
  Uint8Array.of(0xd0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0x56, 2),
  Uint8Array.of(0x70, 0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0xb1, 0, 0, 0, 1, 0x61),
];
