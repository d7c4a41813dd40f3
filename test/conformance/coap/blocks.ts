// Blocks (RFC 7959): what the tests of the layer prove, and what is told in the RFC and asked nowhere there.

import assert from 'node:assert/strict';
import { blockOption } from '../../../src/protocols/coap/block/block-option.ts';
import { BlockWorld, blockOf, body, FakePeer } from '../../../src/protocols/coap/block/testing/block-world.ts';
import { Code, noBytes, OptionNumber, optionValue, textOption, uintOption, uintValue } from '../../../src/protocols/coap/codec/index.ts';
import { beside, conforms } from './conforms.ts';

const path = textOption(OptionNumber.uriPath, 'a');
const { block1, block2, contentFormat, size2 } = OptionNumber;

conforms('7959/2.2-3 7959/4-1', 'what else the option of a request for a block says', () => {
  const world = new BlockWorld();
  world.answer = (_request, reply) => reply.send({ code: Code.content, options: [], payload: body(100) });
  for (const more of [false, true]) {
    const [answer] = world.send(new FakePeer(), Code.get, [path, blockOption(block2, { number: 0, more, szx: 2 })]).responses;
    assert.deepEqual(blockOf(answer!, block2), { number: 0, more: true, szx: 2 });
    assert.deepEqual(answer!.payload, body(100).subarray(0, 64));
    assert.equal(uintValue(optionValue(answer!.options, size2)!), 100);
  }
});

conforms('7959/2.9.2-2', 'blocks of one body in two formats', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  const send = (number: number, format: number): number =>
    world.send(
      peer,
      Code.put,
      [path, uintOption(contentFormat, format), blockOption(block1, { number, more: number === 0, szx: 2 })],
      body(64, number),
    ).responses[0]!.code;
  assert.equal(send(0, 50), Code.continue);
  assert.equal(send(1, 60), Code.requestEntityIncomplete);
  assert.equal(world.requests.length, 0);
  assert.equal(send(1, 50), Code.changed);
});

conforms('7959/2.3-1 7959/2.9.1-1', 'the Block1 option of each answer', () => {
  const world = new BlockWorld();
  world.answer = (_request, reply) => reply.send({ code: Code.notFound, options: [], payload: noBytes });
  const peer = new FakePeer();
  for (const [number, code] of [
    [0, Code.continue],
    [1, Code.continue],
    [2, Code.notFound],
  ] as const) {
    const block = { number, more: number < 2, szx: 2 };
    const [answer] = world.send(peer, Code.post, [path, blockOption(block1, block)], body(64)).responses;
    assert.equal(answer!.code, code);
    assert.deepEqual(blockOf(answer!, block1), block);
  }
});

const assembly = 'src/protocols/coap/block/request-assembly.test.ts';
const answers = 'src/protocols/coap/block/answer-blocks.test.ts';
const outgoing = 'src/protocols/coap/block/outgoing-transfer.test.ts';

beside('7959/2.2-1 7959/2.2-2', assembly, 'blocks that are none: size 7 over UDP, not whole, more than their size');
beside('7959/2.4-1 7959/2.4-2', answers, 'early negotiation: the client says how large blocks may be, and later wants smaller ones');
beside(
  '7959/2.4-3 7959/2.4-5 9175/3.8-1',
  answers,
  'any block of what is not kept is answered anew, with the same ETag for the same content',
);
beside('7959/2.4-4', outgoing, 'blocks of different representations are not put together: a GET begins anew, others fail');
beside('7959/2.5-1', assembly, 'a body comes in blocks and is handed on whole, once (RFC 7959 §3.2, figure 7)');
beside('7959/2.5-2', assembly, 'a first block begins anew what was not complete (RFC 7959 §2.5)');
beside('7959/2.5-3 9175/3.3-1', assembly, 'transfers side by side: peers, paths, Request-Tags and OSCORE contexts keep them apart');
beside('7959/2.5-4', assembly, 'the server asks for smaller blocks in its first answer, and the numbers go on in them');
beside('7959/2.5-5 7959/2.9.3-2', outgoing, 'a device that wants smaller blocks gets them from where it stands, or anew after 4.13');
beside('7959/2.6-1', answers, 'a notification that is too large begins with its first block; the rest is fetched without Observe');
beside('7959/2.6-2', outgoing, 'of a large notification the rest is fetched without Observe; a newer one ends that');
beside('7959/2.7-1', answers, 'a POST with a large body and a large answer: both are in blocks, and it is done once');
beside('7959/2.9.2-1', assembly, 'a missing block, one of another body, and one without a beginning end the transfer with 4.08');
beside('7959/2.9.3-1', assembly, 'too large a body is refused with the largest size: as soon as it is announced, or grows too large');
beside('7959/7.1-1', assembly, 'what is never finished stays in bounds: per peer, in all, and in time');
beside('7959/7.1-1', answers, 'answers that nobody fetches stay in bounds, and the oldest goes first');
beside('8323/6-1', assembly, 'over TCP a message may carry several blocks (RFC 8323 §6)');
beside('8323/6-1 8323/6-2', answers, 'over TCP what fits into a message stays whole, and what does not has as many blocks in each as fit');
beside('7959/4-1 9175/3.5-1', outgoing, 'a large command says how large it is, and is told from others by its Request-Tag');
beside('9175/2.3-2', outgoing, 'a device that asks for an Echo gets the request again with it, once');
const robust = 'src/protocols/coap/block/q-block.test.ts';
beside('9177/4.1-1 9177/4.3-1 9177/4.3-4 9177/4.4-2', robust, 'what is not as it must be is refused, and costs nothing');
beside('9177/4.3-2', robust, 'in any order, and each block twice');
beside('9177/4.3-3', robust, 'a body arrives once, with one 2.31 for each whole set');
beside('9177/4.3-3', robust, 'confirmable blocks are acknowledged, and no more said of them');
beside('9177/4.3-5', robust, 'a Reset to what is asked for ends it');
beside('9177/4.4-1', robust, 'a block that is asked for twice over is sent once; M asks for the rest of its set');
beside('9177/4.4-3 9177/7.2-3', robust, 'whichever datagram is lost');
beside('9177/4.5-1', robust, 'notifications have their Observe in each block, but not in those that are sent again');
beside('9177/4.7-1', robust, 'both in one exchange');
beside(
  '9177/4.1-2',
  'src/protocols/coap/transport/udp-peer.test.ts',
  'Q-Block, switched off, is not understood: a peer finds out before it sends a body',
);
const given = 'src/protocols/coap/block/q-answers.test.ts';
beside('9177/4.4-4', given, 'block 0 that was lost is given from what is kept: the resource is not asked again');
beside('9177/7.2-6', given, 'after blocks that were missing the next set waits anew');
beside('9177/4.5-2', given, 'a GET of the same does not stop a notification under way');
beside('9177/4.5-2', robust, 'notifications have their Observe in each block, but not in those that are sent again');
const overUdp = 'src/protocols/coap/block/q-block-udp.test.ts';
beside('9177/7.1-1', overUdp, 'what is given only once is settled when the client has all of it, whichever datagram is lost');
beside('9177/7.1-1', overUdp, 'a client that acknowledges no more is given up, and nothing is left');
beside('9177/4.8-1', robust, 'a group is not answered');
beside('9177/5-2 9177/7.2-5', robust, 'a list of missing blocks fits into one packet, and waits for the longest pause between sets');
beside('9177/5-1 9177/7.2-2', robust, 'what is missing is asked for after 4, 8, 16 and 32 seconds more, and then no longer');
beside('9177/7.2-1', robust, 'without a word from the peer there is a pause of 2 to 3 seconds before the next set');
