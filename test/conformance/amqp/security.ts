// Security layers (part 5).

import assert from 'node:assert/strict';
import { ProtocolId } from '../../../src/protocols/amqp/codec/index.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { conforms } from './conforms.ts';
import { rawFrame, silent } from './scene.ts';

const { header, frame, sasl, open } = frames;
const plain = Buffer.from('\0ann\0secret');
const accepts = ['password', 'anonymous'] as const;

conforms('5.3.1-1 5.3.2-1', 'a header of SASL is answered with one, and with the mechanisms, in frames of SASL', async () => {
  const { wire } = await silent({ accepts });
  wire.send(header(ProtocolId.sasl));
  const bytes = wire.wire.takeBytes();
  assert.deepEqual([...bytes.subarray(0, 8)], [0x41, 0x4d, 0x51, 0x50, 3, 1, 0, 0]);
  assert.equal(bytes[8 + 5], 1);
  assert.ok(bytes.includes('PLAIN') && bytes.includes('ANONYMOUS'));
  assert.ok(bytes.length - 8 <= 512);
});

conforms('5.3.2-2 5.3.3-1', 'after the outcome both sides begin again with the header of AMQP', async () => {
  const { send } = await silent({ accepts });
  send(header(ProtocolId.sasl));
  assert.deepEqual(send(sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: plain })), ['outcome 0']);
  assert.deepEqual(send(header(), frame(0, open)), ['header 0', 'open']);
  const wrong = await silent({ accepts });
  wrong.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'ANONYMOUS' }));
  assert.deepEqual(wrong.send(frame(0, open)).at(-1), 'closed');
});

conforms('5.3.3-2', 'a mechanism that is not offered: outcome 1, and the connection is closed', async () => {
  const { send } = await silent({ accepts });
  send(header(ProtocolId.sasl));
  assert.deepEqual(send(sasl({ type: 'sasl-init', mechanism: 'GSSAPI' })), ['outcome 1', 'closed']);
});

conforms('5.3.3-3 5.3.3-4', 'who is refused is told by outcome 1, whatever was wrong; a fault that passes by 4', async () => {
  for (const [reason, code] of [
    ['not authenticated', 1],
    ['overloaded', 4],
  ] as const) {
    const { wire, send } = await silent({ accepts });
    wire.security.result = { ok: false, reason } as never;
    send(header(ProtocolId.sasl));
    assert.deepEqual(send(sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: plain })), [`outcome ${code}`, 'closed']);
  }
});

conforms('5.3.3-5', 'the exchange goes init, challenge, response, outcome: anything else ends it', async () => {
  const wrongs = [
    [sasl({ type: 'sasl-response', response: plain })],
    [sasl({ type: 'sasl-init', mechanism: 'PLAIN' }), sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: plain })],
    [frame(0, open)],
    [rawFrame([0, 0x53, 0x44, 0xc0, 3, 1, 0x50, 0], { type: 1 })],
    [rawFrame([], { type: 1 })],
    [rawFrame([0, 0x53, 0x41, 0x45], { type: 1 })],
  ];
  for (const wrong of wrongs) {
    const { send } = await silent({ accepts });
    send(header(ProtocolId.sasl));
    const heard = send(...wrong);
    assert.equal(heard.at(-1), 'closed');
    assert.ok(!heard.includes('outcome 0'));
  }
});

conforms('5.3.3-6', 'a client that must speak first and has not is asked by an empty challenge', async () => {
  const { send } = await silent({ accepts });
  send(header(ProtocolId.sasl));
  assert.deepEqual(send(sasl({ type: 'sasl-init', mechanism: 'PLAIN' })), ['challenge ']);
  assert.deepEqual(send(sasl({ type: 'sasl-response', response: plain })), ['outcome 0']);
});

conforms('5.3.2-3', 'bytes 6 and 7 and the extended header of SASL frames are ignored', async () => {
  const { send } = await silent({ accepts });
  send(header(ProtocolId.sasl));
  const init = sasl({ type: 'sasl-init', mechanism: 'ANONYMOUS' });
  assert.deepEqual(send(rawFrame([...init.subarray(8)], { type: 1, channel: 0xbeef, offset: 3 })), ['outcome 0']);
});

conforms('5.2-1', 'where a security layer is needed, a header of AMQP is answered with that of SASL, and closed', async () => {
  const { send } = await silent({ accepts: ['password'] });
  assert.deepEqual(send(header()), ['header 3', 'closed']);
});

conforms('5.3-1', 'SASL and what comes after it may be sent in one piece', async () => {
  const { send } = await silent({ accepts });
  const heard = send(
    header(ProtocolId.sasl),
    sasl({ type: 'sasl-init', mechanism: 'ANONYMOUS' }),
    header(),
    frame(0, open),
    frame(0, frames.begin),
  );
  assert.deepEqual(heard.slice(2), ['outcome 0', 'header 0', 'open', 'begin']);
});
