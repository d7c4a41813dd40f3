// Whatever a peer asks: nothing breaks, and every request is answered once, but those that may wait.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertInvariants } from '../../../broker/testing/described-state.ts';
import { Code, type CoapOption, isResponse, OptionNumber } from '../codec/index.ts';
import { TestHouse, TestReply } from './testing/house.ts';

const segment = fc.oneof(
  fc.constantFrom(
    't',
    'q',
    'ps',
    'rd',
    'rd-lookup',
    '.well-known',
    'core',
    'data',
    'ep',
    'res',
    'a',
    '+',
    '#',
    '',
    '$queue',
    '$share',
    '$coap',
    '$SYS',
    'g',
    '..',
  ),
  fc.string({ maxLength: 6 }),
);
const place = fc.constantFrom(
  ...['t/a', 't/a', 't/a/b', 't/a/+', 't/#', 'q/jobs', 'q/jobs', 'q/jobs/1', 't/$queue/jobs', 't/$share/g/a', 'ps', 'ps', 'rd', 'rd'].map(
    levels,
  ),
  ...['rd/anyone', 'rd-lookup/ep', 'rd-lookup/res', '.well-known/core', '.well-known/rd', 't/dev/anyone/command/get/x'].map(levels),
);
const path = fc.oneof({ weight: 9, arbitrary: place }, { weight: 1, arbitrary: fc.array(segment, { maxLength: 4 }) });

function levels(text: string): string[] {
  return text.split('/');
}

const argument: fc.Arbitrary<string> = fc.constantFrom(
  'mid=1',
  'mid=',
  'ttl=5',
  'ttl=x',
  'qos=0',
  'qos=7',
  'wait=1',
  'lease=3',
  'ep=anyone',
  'lt=60',
  'lt=0',
  'd=x',
  'base=coap://h:1',
  'count=1',
  'page=0',
  'rt=*',
  'b=U',
  'x',
  'outcome=reject',
);
const option: fc.Arbitrary<CoapOption> = fc.record({
  number: fc.oneof(fc.constantFrom(1, 4, 5, 6, 6, 6, 12, 17, 14, 60, 252, 258), fc.integer({ min: 0, max: 300 })),
  value: fc.uint8Array({ maxLength: 3 }),
});
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc.constantFrom('</a>;rt="x"', '', 'x', '\u00a2').map((text) => new Uint8Array(Buffer.from(text))),
  fc.constant(new Uint8Array([0xa2, 0x00, 0x61, 0x61, 0x02, 0x6c, ...Buffer.from('core.ps.data')])),
);
const anyRequest = fc.record({
  method: fc.constantFrom(Code.get, Code.get, Code.post, Code.put, Code.delete, Code.fetch, Code.patch, Code.ipatch, 0x1f),
  path,
  query: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, { weight: 1, arbitrary: fc.array(argument, { maxLength: 2 }) }),
  options: fc.oneof(
    { weight: 3, arbitrary: fc.constant<CoapOption[]>([]) },
    { weight: 3, arbitrary: fc.constantFrom(...[0, 0, 1].map((value) => [{ number: OptionNumber.observe, value: Uint8Array.of(value) }])) },
    { weight: 1, arbitrary: fc.array(option, { maxLength: 2 }) },
  ),
  payload,
  token: fc.uint8Array({ minLength: 1, maxLength: 1 }),
  peer: fc.nat(2),
  confirmable: fc.boolean(),
  after: fc.constantFrom('', '', '', 'acknowledged', 'lost', 'gone', 'time', 'peer'),
});

/** GETs on queues wait as long as they ask for. */
function mayWait(path: readonly string[]): boolean {
  return path[0] === 'q';
}

test('any dialogue', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyRequest, { minLength: 1, maxLength: 40, size: 'max' }), async (requests) => {
      const t = await TestHouse.open({ options: { maxObservationsPerPeer: 4, maxRegistrations: 4, maxPubsubTopics: 4 } });
      let peers = [t.peer(), t.peer({ isReliable: true }), t.peer({ isProven: false })];
      const replies: { readonly reply: TestReply; readonly path: readonly string[] }[] = [];
      for (const { method, path, query, options: more, payload: body, token, peer: index, confirmable, after } of requests) {
        const peer = peers[index]!;
        const all: CoapOption[] = [
          ...more,
          ...path.map((text) => ({ number: OptionNumber.uriPath, value: Buffer.from(text) })),
          ...query.map((text) => ({ number: OptionNumber.uriQuery, value: Buffer.from(text) })),
        ];
        const message = { code: method, token, options: all.toSorted((a, b) => a.number - b.number), payload: body };
        const reply = new TestReply(t, peer.isReliable);
        t.house.handle({ message, peer, confirmable: confirmable || peer.isReliable, isMulticast: false }, reply);
        t.settle();
        replies.push({ reply, path: path.length > 0 ? path : [''] });
        if (after === 'acknowledged' || after === 'lost') for (const { reply: one } of replies) if (one.isOwed) one.acknowledge(after);
        for (const { answer } of after === 'acknowledged' || after === 'lost' ? peer.asked.splice(0) : []) {
          answer(after === 'lost' ? { failure: 'timeout' } : { code: Code.content, options: [], payload: Buffer.from('</b>') });
        }
        if (after === 'gone') reply.gone();
        if (after === 'time') t.test.advance(5000);
        if (after === 'peer') {
          peer.gone();
          peers = peers.with(index, t.peer(peer.is));
        } else if (after === '') {
          assert.ok(
            reply.response !== undefined || reply.notifications.length > 0 || mayWait(path),
            `${method} /${path.join('/')} is not answered`,
          );
        }
        assertInvariants(t.test.broker);
      }
      for (const { reply } of replies) if (reply.response !== undefined) assert.ok(isResponse(reply.response.code));
      for (const peer of peers) peer.gone();
      assert.deepEqual([t.house.counters.sessions, t.house.counters.observations], [0, 0]);
      t.house.close();
      t.settle();
      assertInvariants(t.test.broker);
    }),
    { numRuns: 300 },
  );
});
