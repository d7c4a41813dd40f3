// Answers by Q-Block2 of which several are kept at a time, and what is asked for again.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

import { Code } from '../codec/message.ts';
import { noBytes, textOption, uintOption } from '../codec/option-values.ts';
import { OptionNumber, optionValue } from '../codec/options.ts';
import { blockOption } from './block-option.ts';
import { blockOf, body } from './testing/block-world.ts';
import { QLink } from './testing/q-link.ts';

import type { CoapOption } from '../codec/message.ts';
import type { CoapResponse } from '../exchange.ts';
import type { Arrived } from './testing/q-link.ts';

const path = textOption(OptionNumber.uriPath, 'large');
const szx = 2;
const step = 64;
const whole = body(25 * step - 5);

function block2(number: number, more: boolean): CoapOption {
  return blockOption(OptionNumber.qBlock2, { number, more, szx });
}

function content(payload: Uint8Array, ...options: readonly CoapOption[]): CoapResponse {
  return { code: Code.content, options, payload };
}

function numbers(arrived: readonly Arrived[]): number[] {
  return arrived.map(({ response }) => blockOf(response, OptionNumber.qBlock2)!.number);
}

suite('answers by Q-Block2', () => {
  test('block 0 that was lost is given from what is kept: the resource is not asked again', () => {
    const link = new QLink();
    let made = 0;
    link.world.answer = (_request, reply) => reply.send(content(body(25 * step, ++made)));
    link.send(Code.get, [path, block2(0, true)], noBytes);
    const [lost] = link.arrived();
    for (let i = 0; i < 2; i++) {
      link.send(Code.get, [path, block2(0, false)], noBytes);
      const [again, ...others] = link.arrived();
      assert.equal(others.length, 0);
      assert.deepEqual(again!.response, lost!.response);
    }
    assert.equal(made, 1);
    // The whole, asked for again, is made again.
    link.send(Code.get, [path, block2(0, true)], noBytes);
    assert.equal(made, 2);
  });

  test('after blocks that were missing the next set waits anew', () => {
    const link = new QLink();
    link.world.answer = (_request, reply) => reply.send(content(whole));
    link.send(Code.get, [path, block2(0, true)], noBytes);
    link.pass(1900);
    link.arrived();
    link.send(Code.get, [path, block2(4, false)], noBytes);
    assert.deepEqual(numbers(link.arrived()), [4]);
    link.pass(1900);
    assert.deepEqual(link.arrived(), []);
    link.pass(1200);
    assert.deepEqual(numbers(link.arrived()), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  test('who wants but the beginning gets it made anew each time', () => {
    const link = new QLink();
    link.world.answer = (_request, reply) => reply.send(content(whole));
    for (let i = 1; i < 4; i++) {
      link.send(Code.get, [path, block2(0, false)], noBytes);
      assert.deepEqual(numbers(link.arrived()), [0]);
      assert.equal(link.world.requests.length, i);
      assert.equal(link.world.requests.at(-1)!.isRest, true);
    }
  });

  test('a resource is told when only a part is wanted of what is not kept', () => {
    const link = new QLink();
    link.world.answer = (_request, reply) => reply.send(content(whole));
    link.send(Code.get, [path, block2(3, false), block2(7, false)], noBytes);
    assert.deepEqual(numbers(link.arrived()), [3, 7]);
    assert.equal(link.world.requests[0]!.isRest, true);
    link.send(Code.get, [path, block2(0, true)], noBytes);
    assert.equal(link.world.requests[1]!.isRest, undefined);
    assert.equal(link.world.metric('qblock_answer_events_total', 'again'), 1);
  });

  test('a GET of the same does not stop a notification under way', () => {
    for (const confirmable of [true, false]) {
      const link = new QLink();
      const results: string[] = [];
      const notice = content(whole, uintOption(OptionNumber.observe, 1));
      link.world.answer = (_request, reply) => reply.notify(notice, confirmable, (result) => results.push(result));
      link.holds = true;
      link.send(Code.get, [path, uintOption(OptionNumber.observe, 0), block2(0, true)], noBytes);
      const seen = numbers(link.arrived());
      link.world.answer = (_request, reply) => reply.send(content(body(25 * step, 9)));
      link.send(Code.get, [path, block2(0, true)], noBytes);
      assert.deepEqual(numbers(link.arrived()), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      for (let i = 0; i < 40; i++) {
        link.settle('acknowledged');
        link.pass(500);
        seen.push(...numbers(link.arrived().filter(({ token }) => token === 1)));
      }
      assert.deepEqual(
        seen,
        Array.from({ length: 25 }, (_, i) => i),
      );
      assert.deepEqual(results, [confirmable ? 'acknowledged' : 'sent']);
      assert.equal(link.world.metric('qblock_answers'), 2);
    }
  });

  test('what is kept for one OSCORE context is not given to another of the same peer', () => {
    const link = new QLink();
    link.world.answer = ({ oscore }, reply) => reply.send(content(body(25 * step, oscore!.contextId.length)));
    const ask = (contextId: string, ...blocks: readonly CoapOption[]): Arrived[] => {
      link.send(Code.get, [path, ...blocks], noBytes, { oscore: { contextId, tenant: 'main', principal: contextId } });
      return link.arrived();
    };
    const a = ask('a', block2(0, true));
    const b = ask('bb', block2(0, true));
    assert.equal(link.world.requests.length, 2);
    assert.deepEqual(ask('a', block2(3, false))[0]!.response, a[3]!.response);
    assert.deepEqual(ask('bb', block2(3, false))[0]!.response, b[3]!.response);
    assert.notDeepEqual(a[3]!.response.payload, b[3]!.response.payload);
    assert.equal(ask('ccc', block2(3, false)).length, 1);
    assert.equal(link.world.requests.length, 3);
  });

  test('two answers for which somebody waits do not replace each other', () => {
    const link = new QLink();
    const results: string[] = [];
    let made = 0;
    link.world.answer = (_request, reply) => {
      const name = `${++made}`;
      reply.sendConfirmed(content(body(12 * step, made)), (result) => results.push(`${name} ${result}`));
    };
    link.holds = true;
    for (let i = 0; i < 2; i++) link.send(Code.get, [path, block2(0, true)], noBytes, { confirmable: true });
    const tags = new Map<number, Set<string>>();
    for (let i = 0; i < 12; i++) {
      for (const { token, response } of link.arrived()) {
        const tag = optionValue(response.options, OptionNumber.etag)!.join();
        tags.set(token, (tags.get(token) ?? new Set()).add(tag));
      }
      link.settle('acknowledged');
    }
    assert.deepEqual(results, ['1 acknowledged', '2 acknowledged']);
    assert.deepEqual(
      [...tags.values()].map((each) => each.size),
      [1, 1],
    );
  });

  test('what is kept is bounded for a peer, whoever waits for it', () => {
    const link = new QLink({ maxTransferPeerBytes: 8000 });
    const results: string[] = [];
    link.world.answer = (_request, reply) => reply.sendConfirmed(content(whole), (result) => results.push(result));
    link.holds = true;
    for (let i = 0; i < 20; i++) {
      link.send(Code.get, [path, block2(0, true)], noBytes, { confirmable: true });
      assert.ok(link.world.metric('qblock_answer_bytes') <= 8000);
    }
    assert.equal(results.filter((result) => result === 'lost').length, 20 - link.world.metric('qblock_answers'));
    link.peer.close();
    assert.equal(results.length, 20);
    assert.equal(link.world.metric('qblock_answer_bytes'), 0);
    assert.equal(link.world.metric('qblock_answers'), 0);
  });
});
