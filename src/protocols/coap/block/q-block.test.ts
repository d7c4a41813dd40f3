import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

import { Code, type CoapOption } from '../codec/message.ts';
import { noBytes, textOption, uintOption, uintValue } from '../codec/option-values.ts';
import { hasOption, OptionNumber, optionValue } from '../codec/options.ts';
import { blockOption, readBlock } from './block-option.ts';
import { missingBlocks } from './missing-blocks.ts';
import { BlockWorld, blockOf, body, FakePeer } from './testing/block-world.ts';
import { QLink } from './testing/q-link.ts';

import type { CoapResponse } from '../exchange.ts';

const path = textOption(OptionNumber.uriPath, 'large');
const tag: CoapOption = { number: OptionNumber.requestTag, value: Uint8Array.of(7) };
const szx = 2;
const step = 64;

function block1(number: number, whole: Uint8Array): { options: readonly CoapOption[]; payload: Uint8Array } {
  const payload = whole.subarray(number * step, (number + 1) * step);
  const more = (number + 1) * step < whole.length;
  const option = blockOption(OptionNumber.qBlock1, { number, more, szx });
  return { options: [path, option, uintOption(OptionNumber.size1, whole.length), tag], payload };
}

function block2(number: number, more: boolean): CoapOption {
  return blockOption(OptionNumber.qBlock2, { number, more, szx });
}

function missing({ payload }: CoapResponse): number[] {
  const numbers: number[] = [];
  for (let at = 0; at < payload.length; at++) numbers.push(payload[at] === 24 ? payload[++at]! : payload[at]!);
  return numbers;
}

/** A client that keeps to the RFC: sets, pauses between them, and what is asked for again. */
function upload(link: QLink, whole: Uint8Array): CoapResponse | undefined {
  const total = Math.ceil(whole.length / step);
  let next = 0;
  let pauseMs = 0;
  let final: CoapResponse | undefined;
  const send = (number: number): void => {
    const { options, payload } = block1(number, whole);
    link.send(Code.put, options, payload);
  };
  for (let ms = 0; ms < 200_000 && final === undefined && link.world.requests.length === 0; ms += 100) {
    for (const { response } of link.arrived()) {
      if (response.code === Code.continue) pauseMs = 0;
      else if (response.code === Code.requestEntityIncomplete) for (const number of missing(response)) send(number);
      else final = response;
    }
    if (next < total && pauseMs <= 0) {
      for (const end = Math.min(total, next + 10); next < end; next++) send(next);
      pauseMs = 2500;
    }
    pauseMs -= 100;
    link.pass(100);
  }
  return final ?? link.arrived()[0]?.response;
}

function download(link: QLink, code: number = Code.get): Uint8Array {
  const blocks = new Map<number, Uint8Array>();
  let size: number | undefined;
  let etag = '';
  let silentMs = 0;
  let repeats = 0;
  let continued = 0;
  link.send(code, [path, block2(0, true)], noBytes);
  for (let ms = 0; ms < 200_000; ms += 100) {
    for (const { response } of link.arrived()) {
      assert.equal(response.code, Code.content);
      size = uintValue(optionValue(response.options, OptionNumber.size2)!);
      const its = optionValue(response.options, OptionNumber.etag)!.join();
      assert.ok(etag === '' || etag === its);
      etag = its;
      const block = blockOf(response, OptionNumber.qBlock2)!;
      blocks.set(block.number, response.payload);
      silentMs = 0;
      repeats = 0;
    }
    const total = size === undefined ? Infinity : Math.ceil(size / step);
    if (blocks.size === total) break;
    let lowest = 0;
    while (blocks.has(lowest)) lowest++;
    if (lowest > continued && lowest % 10 === 0) {
      continued = lowest;
      link.send(code, [path, block2(lowest, true)], noBytes);
    } else if (silentMs >= 4000 * 2 ** repeats) {
      repeats++;
      silentMs = 0;
      const end = Math.min(total, (Math.floor(Math.max(lowest, ...blocks.keys()) / 10) + 1) * 10);
      const wanted = Array.from({ length: end - lowest }, (_, i) => lowest + i).filter((number) => !blocks.has(number));
      link.send(code, size === undefined ? [path, block2(0, true)] : [path, ...wanted.map((number) => block2(number, false))], noBytes);
    }
    silentMs += 100;
    link.pass(100);
  }
  const whole = new Uint8Array(size ?? 0);
  for (const [number, block] of blocks) whole.set(block, number * step);
  return whole;
}

function serving(payload: Uint8Array): QLink {
  const link = new QLink();
  link.world.answer = (_request, reply) => reply.send({ code: Code.content, options: [], payload });
  return link;
}

suite('Q-Block1 (RFC 9177)', () => {
  const whole = body(25 * step - 5);

  test('a body arrives once, with one 2.31 for each whole set', () => {
    const link = new QLink();
    const answer = upload(link, whole);
    assert.equal(answer?.code, Code.changed);
    assert.deepEqual(link.world.requests[0]!.message.payload, whole);
    assert.deepEqual(
      link.world.requests[0]!.message.options.map(({ number }) => number),
      [OptionNumber.uriPath],
    );
    assert.equal(link.world.metric('qblock_request_events_total', 'continued'), 2);
    assert.equal(link.world.metric('qblock_request_bytes'), 0);
    assert.equal(link.open, 0);
  });

  test('whichever datagram is lost', () => {
    for (let lost = 1; lost <= 28; lost++) {
      const link = new QLink({ lost: [lost] });
      upload(link, whole);
      assert.equal(link.world.requests.length, 1, `lost ${lost}`);
      assert.deepEqual(link.world.requests[0]!.message.payload, whole);
      assert.equal(link.open, 0);
    }
  });

  test('whichever set is lost, and when every third datagram is', () => {
    for (const lost of [
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
      [12, 13, 14, 15, 16, 17, 18, 19, 20, 21],
      [23, 24, 25, 26],
    ]) {
      const link = new QLink({ lost });
      upload(link, whole);
      assert.deepEqual(link.world.requests[0]?.message.payload, whole, lost.join());
    }
    const link = new QLink({ lost: Array.from({ length: 100 }, (_, i) => 3 * i) });
    upload(link, whole);
    assert.deepEqual(link.world.requests[0]?.message.payload, whole);
  });

  test('in any order, and each block twice', () => {
    const link = new QLink();
    const order = Array.from({ length: 25 }, (_, i) => (i * 7) % 25);
    for (const number of [...order, ...order]) {
      const { options, payload } = block1(number, whole);
      link.send(Code.put, options, payload);
    }
    assert.equal(link.world.requests.length, 1);
    assert.deepEqual(link.world.requests[0]!.message.payload, whole);
    const codes = link.arrived().map(({ response }) => response.code);
    // A block that comes when all is done gets the same answer.
    assert.equal(codes.filter((code) => code === Code.changed).length, 26);
    assert.equal(link.open, 0);
  });

  test('confirmable blocks are acknowledged, and no more said of them', () => {
    const link = new QLink();
    for (let number = 0; number < 25; number++) {
      const { options, payload } = block1(number, whole);
      link.send(Code.put, options, payload, { confirmable: true });
    }
    assert.deepEqual(
      link.arrived().map(({ response }) => response.code),
      [Code.changed],
    );
    assert.equal(link.world.requests.length, 1);
  });

  test('what is missing is asked for after 4, 8, 16 and 32 seconds more, and then no longer', () => {
    const link = new QLink();
    for (const number of [0, 1, 3]) {
      const { options, payload } = block1(number, whole);
      link.send(Code.put, options, payload);
    }
    const asked: number[] = [];
    for (let ms = 0; ms < 300_000; ms += 1000) {
      for (const { response } of link.arrived()) {
        assert.equal(uintValue(optionValue(response.options, OptionNumber.contentFormat)!), 272);
        assert.deepEqual(missing(response), [2, 4, 5, 6, 7, 8, 9]);
        asked.push(ms / 1000);
      }
      link.pass(1000);
    }
    assert.deepEqual(asked, [4, 12, 28, 60]);
    assert.equal(link.world.metric('qblock_requests'), 0);
    assert.equal(link.world.metric('qblock_request_events_total', 'given_up'), 1);
    assert.equal(link.open, 0);
    assert.equal(link.world.timers.size, 0);
  });

  test('a list of missing blocks fits into one packet, and waits for the longest pause between sets', () => {
    const link = new QLink({ maxPayloads: 1000, nonReceiveTimeoutMs: 2000 });
    link.peer.maxMessageBytes = 628;
    const large = body(2000 * step);
    for (const number of [0, 999]) {
      const { options, payload } = block1(number, large);
      link.send(Code.put, options, payload);
    }
    link.pass(3900);
    assert.deepEqual(link.arrived(), []);
    link.pass(200);
    const [asked] = link.arrived();
    assert.ok(asked!.response.payload.length <= 500);
    assert.deepEqual(missing(asked!.response).slice(0, 3), [1, 2, 3]);
  });

  test('a Reset to what is asked for ends it', () => {
    const link = new QLink();
    const { options, payload } = block1(1, whole);
    link.send(Code.put, options, payload);
    link.pass(4000);
    assert.equal(link.arrived().length, 1);
    link.reset();
    link.pass(8000);
    assert.equal(link.world.metric('qblock_requests'), 0);
    assert.deepEqual(link.arrived(), []);
  });

  test('what is not as it must be is refused, and costs nothing', () => {
    const { options, payload } = block1(0, whole);
    const without = (number: number): CoapOption[] => options.filter((option) => option.number !== number);
    const mostBytes = uintOption(OptionNumber.size1, (1 << 20) + 1);
    for (const [code, sent, bytes] of [
      [Code.badRequest, without(OptionNumber.requestTag), payload],
      [Code.badRequest, without(OptionNumber.size1), payload],
      [Code.badRequest, options, payload.subarray(1)],
      [Code.badRequest, [...without(OptionNumber.size1), uintOption(OptionNumber.size1, 10)], payload],
      [Code.requestEntityTooLarge, [...without(OptionNumber.size1), mostBytes], payload],
      [Code.badOption, [...options, blockOption(OptionNumber.block1, { number: 0, more: true, szx })], payload],
      [Code.badOption, [...options, blockOption(OptionNumber.block2, { number: 0, more: false, szx })], payload],
      [Code.badRequest, [path, block2(3, false), block2(2, false)], noBytes],
      [Code.badRequest, [path, block2(3, false), block2(3, false)], noBytes],
      [Code.badRequest, [path, blockOption(OptionNumber.qBlock2, { number: 0, more: true, szx: 7 })], noBytes],
    ] as const) {
      const link = new QLink();
      link.send(Code.put, sent, bytes);
      assert.deepEqual(
        link.arrived().map(({ response }) => response.code),
        [code],
      );
      assert.equal(link.world.requests.length, 0);
      assert.equal(link.world.metric('qblock_request_bytes'), 0);
      assert.equal(link.open, 0);
    }
  });

  test('another size under the same tag is refused, and the first body stands', () => {
    const link = new QLink();
    const first = block1(0, whole);
    link.send(Code.put, first.options, first.payload);
    const other = block1(1, body(20 * step));
    link.send(Code.put, other.options, other.payload);
    assert.equal(link.arrived()[0]?.response.code, Code.badRequest);
    for (let number = 1; number < 25; number++) {
      const { options, payload } = block1(number, whole);
      link.send(Code.put, options, payload);
    }
    assert.deepEqual(link.world.requests[0]?.message.payload, whole);
  });

  test('memory is for what has come, in bounds', () => {
    const link = new QLink({ maxTransferPeerBytes: 20_000 });
    for (let seed = 0; seed < 50; seed++) {
      for (const number of [900, 1]) {
        const { options, payload } = block1(number, body(1000 * step));
        const own: CoapOption = { number: OptionNumber.requestTag, value: Uint8Array.of(9, seed) };
        link.send(Code.put, [...options.slice(0, -1), own], payload);
      }
      assert.ok(link.world.metric('qblock_request_bytes') < 20_000);
    }
    assert.equal(link.world.metric('qblock_requests'), 4);
    assert.ok(link.open <= 4);
    link.peer.close();
    assert.equal(link.world.metric('qblock_request_bytes'), 0);
    assert.equal(link.open, 0);
  });

  test('not where nothing is lost, nor where it is switched off', () => {
    const { options, payload } = block1(0, whole);
    for (const [world, peer] of [
      [new BlockWorld(), new FakePeer({ isReliable: true })],
      [new BlockWorld({ qBlock: false }), new FakePeer()],
    ] as const) {
      assert.equal(world.send(peer, Code.put, options, payload).responses[0]?.code, Code.badOption);
    }
  });

  test('the list of missing blocks is a sequence of CBOR', () => {
    assert.deepEqual([...missingBlocks([0, 23, 24, 255, 256, 65_536])], [0, 23, 24, 24, 24, 255, 25, 1, 0, 26, 0, 1, 0, 0]);
  });
});

suite('Q-Block2 (RFC 9177)', () => {
  const whole = body(25 * step - 5);

  test('an answer goes set by set, each when the one before is there', () => {
    const link = serving(whole);
    assert.deepEqual(download(link), whole);
    assert.equal(link.world.requests.length, 1);
    assert.ok(link.world.clock.monotonicMs() < 1000);
    assert.equal(link.world.metric('qblock_answer_events_total', 'continued'), 2);
    assert.equal(link.open, 0);
  });

  test('whichever datagram is lost', () => {
    for (let lost = 1; lost <= 28; lost++) {
      const link = serving(whole);
      link.lose([lost]);
      assert.deepEqual(download(link), whole, `lost ${lost}`);
      assert.equal(link.open, 0);
      assert.ok(link.world.requests.length <= 2);
    }
    const link = serving(whole);
    link.lose(Array.from({ length: 200 }, (_, i) => 3 * i));
    assert.deepEqual(download(link), whole);
  });

  test('without a word from the peer there is a pause of 2 to 3 seconds before the next set', () => {
    const link = serving(whole);
    link.send(Code.get, [path, block2(0, true)], noBytes);
    const counts = [0, 1999, 1002, 1999, 1002].map((ms) => {
      link.pass(ms);
      return link.arrived().length;
    });
    assert.equal(counts[0], 10);
    assert.equal(counts[1], 0);
    assert.equal(counts[2], 10);
    assert.equal(
      counts.reduce((a, b) => a + b),
      25,
    );
    assert.equal(link.open, 0);
  });

  test('a block that is asked for twice over is sent once; M asks for the rest of its set', () => {
    const link = serving(whole);
    link.send(Code.get, [path, block2(0, true)], noBytes);
    link.pass(10_000);
    link.arrived();
    link.send(Code.get, [path, block2(7, true), block2(8, false), block2(12, false)], noBytes);
    const numbers = (): number[] => link.arrived().map(({ response }) => blockOf(response, OptionNumber.qBlock2)!.number);
    assert.deepEqual(numbers(), [7, 8, 9]);
    link.pass(3000);
    assert.deepEqual(numbers(), [12]);
    link.send(Code.get, [path, block2(25, false)], noBytes);
    assert.equal(link.arrived()[0]?.response.code, Code.badRequest);
    assert.equal(link.world.requests.length, 1);
    assert.equal(link.open, 0);
  });

  test('what was done is not done again for the rest of its answer', () => {
    const link = serving(whole);
    link.send(Code.post, [path, block2(3, false)], noBytes);
    assert.equal(link.arrived()[0]?.response.code, Code.requestEntityIncomplete);
    assert.equal(link.world.requests.length, 0);
  });

  test('both in one exchange', () => {
    const link = serving(whole);
    link.world.answer = ({ message }, reply) => reply.send({ code: Code.content, options: [], payload: message.payload });
    for (let number = 0; number < 25; number++) {
      const { options, payload } = block1(number, whole);
      link.send(Code.fetch, number === 24 ? [...options, block2(0, true)] : options, payload);
    }
    const blocks = link.arrived().filter(({ response }) => response.code === Code.content);
    assert.deepEqual(
      blocks.map(({ response }) => readBlock(optionValue(response.options, OptionNumber.qBlock2)!).number),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    link.send(Code.fetch, [path, block2(10, true)], noBytes);
    assert.equal(link.arrived().length, 10);
    link.send(Code.fetch, [path, tag, block2(2, false)], noBytes);
    assert.equal(link.arrived().length, 1);
    assert.equal(link.world.requests.length, 1);
  });

  test('a small answer has the option, too, so that a peer learns that it is understood', () => {
    for (const code of [Code.content, Code.notFound]) {
      const link = new QLink();
      link.world.answer = (_request, reply) => reply.send({ code, options: [], payload: noBytes });
      link.send(Code.get, [path, block2(0, false)], noBytes);
      assert.deepEqual(blockOf(link.arrived()[0]!.response, OptionNumber.qBlock2), { number: 0, more: false, szx });
    }
  });

  test('confirmable: each block when the one before is acknowledged, and whoever waits is told', () => {
    for (const fate of ['acknowledged', 'lost'] as const) {
      const link = new QLink();
      const results: string[] = [];
      link.world.answer = (_request, reply) =>
        reply.sendConfirmed({ code: Code.content, options: [], payload: whole }, (result) => results.push(result));
      link.holds = true;
      link.send(Code.get, [path, block2(0, true)], noBytes, { confirmable: true });
      for (let number = 0; number < 25; number++) {
        const [sent, ...others] = link.arrived();
        assert.equal(others.length, 0);
        assert.equal(blockOf(sent!.response, OptionNumber.qBlock2)?.number, number);
        assert.deepEqual(results, []);
        link.settle(number === 20 && fate === 'lost' ? 'lost' : 'acknowledged');
        if (results.length > 0) break;
      }
      assert.deepEqual(results, [fate]);
      assert.equal(link.open, 0);
    }
  });

  test('notifications have their Observe in each block, but not in those that are sent again', () => {
    const link = new QLink();
    const results: string[] = [];
    const notice = (payload: Uint8Array, number: number): CoapResponse => ({
      code: Code.content,
      options: [uintOption(OptionNumber.observe, number)],
      payload,
    });
    let notify = (_response: CoapResponse): void => {};
    link.world.answer = (_request, reply) => {
      notify = (response) => reply.notify(response, false, (result) => results.push(result));
      notify(notice(whole, 1));
    };
    link.send(Code.get, [path, uintOption(OptionNumber.observe, 0), block2(0, true)], noBytes);
    const first = link.arrived();
    assert.equal(first.length, 10);
    assert.ok(first.every(({ response, token }) => token === 1 && hasOption(response.options, OptionNumber.observe)));
    link.send(Code.get, [path, block2(10, true)], noBytes);
    assert.ok(link.arrived().every(({ response, token }) => token === 1 && hasOption(response.options, OptionNumber.observe)));
    link.send(Code.get, [path, block2(3, false)], noBytes);
    const [again] = link.arrived();
    assert.ok(again?.token === 3 && !hasOption(again.response.options, OptionNumber.observe));
    // The next takes the place of what has not gone out.
    notify(notice(body(30 * step, 5), 2));
    const second = link.arrived();
    assert.equal(second.length, 10);
    link.pass(20_000);
    const rest = link.arrived();
    assert.equal(rest.length, 20);
    assert.ok(rest.every(({ response }) => optionValue(response.options, OptionNumber.observe)?.[0] === 2));
    assert.deepEqual(results, ['sent', 'sent']);
    assert.equal(link.world.requests.length, 1);
  });

  test('a group is not answered', () => {
    const link = serving(whole);
    link.send(Code.get, [path, block2(0, true)], noBytes, { isMulticast: true });
    assert.deepEqual(link.arrived(), []);
    assert.equal(link.world.requests.length, 0);
  });

  test('what is kept is forgotten in time, and no timer stays', () => {
    const link = serving(whole);
    link.send(Code.get, [path, block2(0, true)], noBytes);
    link.pass(400_000);
    assert.equal(link.world.metric('qblock_answer_bytes'), 0);
    assert.equal(link.world.timers.size, 0);
  });
});
