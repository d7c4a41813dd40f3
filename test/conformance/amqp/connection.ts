// Protocol header, frames, connections (2.2 to 2.4, 2.7.1, 2.7.9).

import assert from 'node:assert/strict';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { conforms } from './conforms.ts';
import { begun, rawFrame, silent } from './scene.ts';

const { header, frame, open, begin } = frames;
const version = (id: number, ...numbers: number[]): Uint8Array => new Uint8Array([0x41, 0x4d, 0x51, 0x50, id, ...numbers]);

conforms('2.2-1', 'a header of the version that is spoken is answered with the same', async () => {
  const { send } = await silent();
  assert.deepEqual(send(header(0)), ['header 0']);
});

conforms(
  '2.2-2 2.2-3 2.2-4',
  'another version, another protocol id and no header at all are answered with a good header, and closed',
  async () => {
    const requests = [version(0, 1, 1, 0), version(0, 0, 9, 1), version(2, 1, 0, 0), version(9, 1, 0, 0), Buffer.from('GET / HT')];
    for (const request of requests) {
      const { send } = await silent();
      const heard = send(new Uint8Array(request));
      assert.match(heard[0] ?? '', /^header [03]$/);
      assert.deepEqual(heard.slice(1), ['closed']);
    }
  },
);

conforms('2.3.1-1 2.3.1-2', 'a frame shorter than its header, or whose body begins within it, is a framing error', async () => {
  const cases = [{ size: 7 }, { size: 0 }, { offset: 1 }, { offset: 0 }];
  for (const wrong of cases) {
    const { send } = await begun();
    assert.deepEqual(send(rawFrame([], wrong)), ['close amqp:connection:framing-error', 'closed']);
  }
  const { send } = await begun();
  const beyond = rawFrame([]);
  beyond[4] = 3;
  assert.deepEqual(send(beyond), ['close amqp:connection:framing-error', 'closed']);
});

conforms('2.3.1-3', 'an extended header is skipped', async () => {
  const { send } = await begun();
  const end = frame(0, { type: 'end' });
  assert.deepEqual(send(rawFrame([...end.subarray(8)], { offset: 4 })), ['end']);
});

conforms('2.3.2-1', 'a body that is no performative ends the connection', async () => {
  for (const body of [[0x40], [0, 0x53, 0x19, 0x45], [0, 0x53, 0x70, 0x45], [1, 2, 3]]) {
    const { send } = await begun();
    const heard = send(rawFrame(body));
    assert.match(heard[0] ?? '', /^close amqp:/);
    assert.equal(heard[1], 'closed');
  }
});

conforms('2.3.2-2 2.4.5-4', 'an empty frame says that the peer lives, whatever its channel, and nothing else', async () => {
  const { test, wire, send } = await begun({}, { options: { idleTimeoutMs: 10_000 } });
  for (let i = 0; i < 5; i++) {
    wire.advance(6000);
    test.settle();
    assert.deepEqual(send(rawFrame([], { channel: i * 3 })), []);
  }
});

conforms('2.4.1-1 2.4.1-2 2.7.1-1', 'what comes first is open, on channel 0, with a container id', async () => {
  const firsts = [
    frame(0, begin),
    frame(1, open),
    frame(0, { type: 'close' }),
    rawFrame([0, 0x53, 0x10, 0x45]),
    rawFrame([0, 0x53, 0x10, 0xc0, 0x02, 0x01, 0x40]),
  ];
  for (const first of firsts) {
    const { send } = await silent();
    const heard = send(header(), first);
    assert.deepEqual(heard.slice(0, 2), ['header 0', 'open']);
    assert.match(heard[2] ?? '', /^close amqp:/);
    assert.equal(heard[3], 'closed');
  }
});

conforms(
  '2.4.1-3 2.7.1-4',
  'before anything is agreed our frames are on channel 0 and no longer than 512 bytes, and so may be the peer’s',
  async () => {
    const { wire, test } = await silent();
    const padding = new Map([['x', { type: 'string', value: 'x'.repeat(440) } as const]]);
    const longest = frame(0, { ...open, properties: padding });
    assert.ok(longest.length > 450 && longest.length <= 512, `${longest.length}`);
    wire.send(header(), longest);
    test.settle();
    const bytes = wire.wire.takeBytes();
    assert.ok(bytes.length - 8 <= 512);
    assert.deepEqual([...bytes.subarray(12, 16)], [2, 0, 0, 0]);
  },
);

conforms('2.4.1-4', 'a second open is not allowed', async () => {
  const { send } = await begun();
  assert.match(send(frame(0, open))[0] ?? '', /^close amqp:/);
});

conforms('2.4.2-1 2.4.3-4', 'a whole connection may come in one piece, its close included', async () => {
  const { send } = await silent();
  const heard = send(header(), frame(0, open), frame(0, begin), frame(0, frames.senderAttach()), frame(0, { type: 'close' }));
  assert.deepEqual(heard.slice(0, 3), ['header 0', 'open', 'begin']);
  assert.deepEqual(heard.slice(-2), ['close', 'closed']);
});

conforms('2.4.3-1 2.4.3-2 2.7.9-1', 'a close, on whatever channel, is answered with close, and nothing comes after it', async () => {
  for (const channel of [0, 5, 255]) {
    const { wire, send } = await begun();
    assert.deepEqual(send(frame(channel, { type: 'close' })), ['close', 'closed']);
    assert.deepEqual(send(frame(0, { type: 'end' })), []);
    wire.connection.shutDown();
    assert.deepEqual(wire.heard(), []);
  }
});

conforms('2.4.3-3 2.4.4-1 2.4.6-1', 'a connection that ends for an error says so by close, and forgets what still comes', async () => {
  const { wire, send } = await begun();
  wire.connection.shutDown();
  assert.deepEqual(wire.heard().slice(-2), ['close amqp:connection:forced', 'closed']);
  assert.deepEqual(send(frame(0, begin), frame(0, { type: 'close' })), []);
});

conforms('2.4.5-1', 'a peer that is silent for longer than the threshold is told so by close', async () => {
  const { wire } = await begun({}, { options: { idleTimeoutMs: 10_000 } });
  wire.advance(9000);
  assert.deepEqual(wire.heard(), []);
  wire.advance(1001);
  assert.match(wire.heard()[0] ?? '', /^close amqp:/);
});

conforms('2.4.5-2', 'half of the threshold is told', async () => {
  const { wire, test } = await silent({ options: { idleTimeoutMs: 10_000 } });
  wire.send(header(), frame(0, open));
  test.settle();
  const answer = wire.frames().find((each) => each.type === 'open');
  assert.equal(answer?.type === 'open' && answer.idleTimeOut, 5000);
});

conforms('2.4.5-3', 'a peer that wants to hear something within a time does; 0 is no time', async () => {
  const { wire } = await begun({}, { open: { idleTimeOut: 4000 }, options: { idleTimeoutMs: 0 } });
  for (let i = 0; i < 5; i++) {
    wire.advance(4000);
    assert.ok(wire.heard().includes('empty'));
  }
  const none = await begun({}, { open: { idleTimeOut: 0 }, options: { idleTimeoutMs: 0 } });
  none.wire.advance(1e9);
  assert.deepEqual(none.wire.heard(), []);
});

conforms('2.4.5-5', 'an idle time-out that cannot be kept is refused by close', async () => {
  const { send } = await silent();
  assert.deepEqual(send(header(), frame(0, { ...open, idleTimeOut: 1 })).slice(1), ['open', 'close amqp:not-allowed', 'closed']);
});

conforms('2.7.1-2', 'no frame is larger than the peer takes', async () => {
  const { wire, send, test } = await begun({}, { open: { maxFrameSize: 512 } });
  send(
    frame(0, {
      type: 'attach',
      name: 'r',
      handle: 1,
      role: 'receiver',
      source: { type: 'source', address: 'a' },
      target: { type: 'target' },
    }),
  );
  send(frame(0, frames.senderAttach()));
  send(
    frame(0, {
      type: 'flow',
      nextIncomingId: 0,
      incomingWindow: 100,
      nextOutgoingId: 0,
      outgoingWindow: 1,
      handle: 1,
      deliveryCount: 0,
      linkCredit: 5,
    }),
  );
  wire.send(frames.transfer(0, 'x'.repeat(3000)));
  test.settle();
  const bytes = wire.wire.takeBytes();
  let cut = 0;
  for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at), cut++) assert.ok(bytes.readUInt32BE(at) <= 512);
  assert.ok(cut > 6);
});

conforms('2.7.1-3', 'a frame larger than was told is a framing error', async () => {
  const { send } = await begun({}, { options: { maxFrameBytes: 8192 } });
  assert.deepEqual(send(rawFrame([], { size: 8193 }).subarray(0, 8)), ['close amqp:connection:framing-error', 'closed']);
  const { send: early } = await silent();
  assert.ok(early(header(), rawFrame([], { size: 0x7fff_ffff }).subarray(0, 8)).includes('close amqp:connection:framing-error'));
});

conforms('2.7.1-5 2.7.1-6', 'channels above ours are a framing error, and none above the peer’s is used', async () => {
  const { send } = await begun({}, { options: { channelMax: 3 } });
  assert.deepEqual(send(frame(3, begin)), ['begin']);
  assert.deepEqual(send(frame(4, begin)), ['close amqp:connection:framing-error', 'closed']);
  const small = await begun({}, { open: { channelMax: 0 } });
  assert.match(small.send(frame(1, begin))[0] ?? '', /^close amqp:/);
});

conforms('2.7.1-7', 'what a peer offers, wants or tells that is not known here does not matter', async () => {
  const { send } = await silent();
  const odd = { offeredCapabilities: ['x:a'], desiredCapabilities: ['x:b', 'x:c'], outgoingLocales: ['de-DE'], incomingLocales: ['tlh'] };
  assert.deepEqual(send(header(), frame(0, { ...open, ...odd, hostname: 'nowhere.example' })), ['header 0', 'open']);
});
