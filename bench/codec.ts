// How long one PUBLISH takes in the codec, in nanoseconds; run by hand: node bench/codec.ts

import { Output, recycleChunk } from '../src/base/output.ts';
import type { Attributes } from '../src/message/attributes.ts';
import { Message } from '../src/message/message.ts';
import {
  AckFields,
  decodeAck,
  decodePublish,
  firstBytesFrom,
  FrameReader,
  PacketType,
  PublishFields,
  publishBytes,
  type PublishProperties,
  type Qos,
  type Version,
  writeAck,
  writePublish,
  writePublishPacket,
} from '../src/protocols/mqtt/codec/index.ts';
import { toNeutral } from '../src/protocols/mqtt/convert.ts';

const topic = 'site/plant-7/line-3/sensor-42/temperature';
const topicBytes = new Uint8Array(Buffer.from(topic));
const packetsPerChunk = 400;
const rounds = 9;

function time(name: string, operations: number, run: () => void): void {
  for (let i = 0; i < 40; i++) run();
  const results: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < 25; i++) run();
    results.push(Number(process.hrtime.bigint() - start) / (25 * operations));
  }
  results.sort((a, b) => a - b);
  console.log(`${name.padEnd(56)} ${results[rounds >> 1]!.toFixed(1).padStart(8)} ns`);
}

function chunkOf(output: Output): Buffer {
  return Buffer.concat(output.takeChunks());
}

function message(payloadBytes: number, qos: Qos, attributes?: Attributes, expiresAtMs = 0): Message {
  const payload = new Uint8Array(payloadBytes).fill(7);
  return new Message(topic, topicBytes, payload, 0, payloadBytes, qos, false, 4, expiresAtMs, 0, 'someone', attributes);
}

function benchDecode(name: string, version: Version, qos: Qos, properties?: PublishProperties): void {
  const output = new Output(() => {});
  const payload = new Uint8Array(64);
  for (let i = 0; i < packetsPerChunk; i++) {
    const packetId = qos === 0 ? 0 : i + 1;
    writePublishPacket(output, version, { topic, payload, qos, packetId, dup: false, retain: false, properties });
  }
  const chunk = chunkOf(output);
  const reader = new FrameReader(firstBytesFrom('client', version), 1_000_000);
  const fields = new PublishFields('client');
  let sum = 0;
  const sink = {
    packet(firstByte: number, bytes: Uint8Array, start: number, end: number): boolean {
      if (decodePublish(bytes, start, end, firstByte & 0x0f, version, fields) !== undefined) throw new Error('refused');
      sum += fields.payloadEnd - fields.payloadStart + fields.packetId;
      return true;
    },
  };
  time(`frame + decode PUBLISH ${name}`, packetsPerChunk, () => {
    if (reader.push(chunk, sink) !== undefined) throw new Error('refused');
  });
  if (sum === 0) throw new Error('nothing was read');
}

function benchEncode(name: string, version: Version, qos: Qos, payloadBytes: number, make: () => Message, sizeToo = false): void {
  const output = new Output(() => {});
  const sent = make();
  time(`encode PUBLISH ${name}`, packetsPerChunk, () => {
    for (let i = 0; i < packetsPerChunk; i++) {
      if (sizeToo && publishBytes(version, sent, qos, 0, true, undefined) > 1_000_000) throw new Error('too large');
      writePublish(output, version, sent, qos, qos === 0 ? 0 : i + 1, false, false, 0, true, undefined, 0);
    }
    for (const chunk of output.takeChunks()) recycleChunk(chunk);
  });
}

const userProperties = [
  { key: 'unit', value: 'celsius' },
  { key: 'trace', value: '01890a5d-ac96-774b-bcce-b302099a8057' },
];
const attributes = toNeutral({ contentType: 'application/json', userProperties }).attributes!;

benchDecode('3.1.1 QoS 0, 64 bytes', 4, 0);
benchDecode('3.1.1 QoS 1, 64 bytes', 4, 1);
benchDecode('5 QoS 0, no properties', 5, 0);
benchDecode('5 QoS 0, topic alias', 5, 0, { topicAlias: 5 });
benchDecode('5 QoS 1, expiry', 5, 1, { messageExpiryInterval: 60 });
benchDecode('5 QoS 1, content type and 2 user properties', 5, 1, { contentType: 'application/json', userProperties });

for (const bytes of [16, 64, 200, 1000, 10_000]) benchEncode(`3.1.1 QoS 0, ${bytes} bytes`, 4, 0, bytes, () => message(bytes, 0));
benchEncode('3.1.1 QoS 1, 64 bytes', 4, 1, 64, () => message(64, 1));
benchEncode('5 QoS 1, 64 bytes', 5, 1, 64, () => message(64, 1));
benchEncode('5 QoS 1, 64 bytes, size asked first', 5, 1, 64, () => message(64, 1), true);
benchEncode('5 QoS 1, expiry', 5, 1, 64, () => message(64, 1, undefined, 50_000));
benchEncode('5 QoS 1, content type and 2 user properties (fan-out)', 5, 1, 64, () => message(64, 1, attributes));

time('toNeutral, content type and 2 user properties', packetsPerChunk, () => {
  for (let i = 0; i < packetsPerChunk; i++)
    if (toNeutral({ contentType: 'application/json', userProperties }).priority !== 4) throw new Error('wrong');
});

{
  const output = new Output(() => {});
  const two = [message(64, 1, { ...attributes }), message(64, 1, { ...attributes })];
  time('encode PUBLISH 5, properties, alternating messages', packetsPerChunk, () => {
    for (let i = 0; i < packetsPerChunk; i++) writePublish(output, 5, two[i & 1]!, 1, i + 1, false, false, 0, true, undefined, 0);
    for (const chunk of output.takeChunks()) recycleChunk(chunk);
  });
}

{
  const output = new Output(() => {});
  for (let i = 0; i < packetsPerChunk; i++) writeAck(output, 4, PacketType.puback, i + 1, 0);
  const chunk = chunkOf(output);
  const reader = new FrameReader(firstBytesFrom('client', 4), 1000);
  const fields = new AckFields();
  const sink = {
    packet: (_: number, bytes: Uint8Array, start: number, end: number) =>
      decodeAck(PacketType.puback, bytes, start, end, 4, fields) === undefined,
  };
  time('frame + decode PUBACK', packetsPerChunk, () => {
    reader.push(chunk, sink);
  });
  time('encode PUBACK', packetsPerChunk, () => {
    for (let i = 0; i < packetsPerChunk; i++) writeAck(output, 4, PacketType.puback, i + 1, 0);
    for (const full of output.takeChunks()) recycleChunk(full);
  });
}
