// Every state of a connection, a session and a link with every performative: what is answered, whether it is the peer's mistake, and
// that nothing is thrown. Frames that are cut or hold other things than they should: the same.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AmqpValue, encodeValue, type Performative, ProtocolId, releasedState } from './codec/index.ts';
import { Dialogue } from './testing/dialogue.ts';
import { begin, emptyFrame, frame, header, open, sasl, senderAttach, transfer } from './testing/peer-frames.ts';

const flow: Performative = { type: 'flow', nextIncomingId: 0, incomingWindow: 9, nextOutgoingId: 0, outgoingWindow: 9, handle: 0 };

const inputs: Readonly<Record<string, Uint8Array>> = {
  open: frame(0, open),
  begin: frame(0, begin),
  attach: frame(0, senderAttach({ name: 'new' })),
  flow: frame(0, flow),
  transfer: transfer(0, 'x'),
  disposition: frame(0, { type: 'disposition', role: 'receiver', first: 0, settled: true, state: releasedState }),
  detach: frame(0, { type: 'detach', handle: 0, closed: true }),
  end: frame(0, { type: 'end' }),
  close: frame(0, { type: 'close' }),
  empty: emptyFrame(),
  init: sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from('\0ann\0x') }),
  response: sasl({ type: 'sasl-response', response: Buffer.from('\0ann\0x') }),
  'amqp header': header(),
  'sasl header': header(ProtocolId.sasl),
};

const states: Readonly<Record<string, () => Dialogue>> = {
  'awaiting a header': () => new Dialogue({ accepts: ['password', 'anonymous'] }),
  'awaiting sasl-init': () => after(new Dialogue({ accepts: ['password'] }), header(ProtocolId.sasl)),
  'awaiting a response': () =>
    after(new Dialogue({ accepts: ['password'] }), header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'PLAIN' })),
  'awaiting the header of AMQP': () => after(new Dialogue({ accepts: ['password'] }), header(ProtocolId.sasl), inputs['init']!),
  'awaiting open': () => after(new Dialogue(), header()),
  opened: () => Dialogue.opened(),
  begun: () => Dialogue.begun(),
  attached: () => Dialogue.sending(),
  refused: () => after(Dialogue.begun(), frame(0, senderAttach({ target: { type: 'target', address: 'forbidden' } }))),
  'detached by us': () => {
    const dialogue = Dialogue.sending();
    dialogue.session.expel('takenOver');
    return after(dialogue);
  },
  'ended by us': () => after(Dialogue.begun(), frame(0, { type: 'detach', handle: 9 })),
  closed: () => after(Dialogue.sending(), frame(0, { type: 'close' })),
};

function after(dialogue: Dialogue, ...pieces: Uint8Array[]): Dialogue {
  if (pieces.length > 0) dialogue.send(...pieces);
  dialogue.heard();
  dialogue.asked();
  return dialogue;
}

const attachedWords = ['attach 0 new', 'flow 0 count=0 credit=100'];
const illegal = ['close amqp:illegal-state', 'closed'];
const unattached = ['end amqp:session:unattached-handle'];
const notAllowed = ['close amqp:not-allowed', 'closed'];
const framing = ['close amqp:connection:framing-error', 'closed'];
const mechanisms = ['header 3', 'mechanisms PLAIN ANONYMOUS'];
const refusal = (condition: string): string[] => ['open', `close ${condition}`, 'closed'];
const gone = ['closed'];

/** What is heard; an input that is not named: what stands under `others`. */
const table: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'awaiting a header': { others: ['header 3', 'closed'], 'amqp header': ['header 0'], 'sasl header': mechanisms },
  'awaiting sasl-init': { others: gone, init: ['outcome 0'] },
  'awaiting a response': { others: gone, response: ['outcome 0'] },
  'awaiting the header of AMQP': { others: ['header 3', 'closed'], 'amqp header': ['header 0'], 'sasl header': ['header 0', 'closed'] },
  'awaiting open': {
    others: refusal('amqp:illegal-state'),
    open: ['open'],
    init: refusal('amqp:not-allowed'),
    response: refusal('amqp:not-allowed'),
    'amqp header': refusal('amqp:connection:framing-error'),
    'sasl header': refusal('amqp:connection:framing-error'),
  },
  opened: {
    others: illegal,
    begin: ['begin'],
    close: ['close', 'closed'],
    empty: [],
    init: notAllowed,
    response: notAllowed,
    'amqp header': framing,
    'sasl header': framing,
  },
  begun: {
    others: unattached,
    open: illegal,
    begin: illegal,
    attach: attachedWords,
    disposition: [],
    end: ['end'],
    close: ['close', 'closed'],
    empty: [],
    init: notAllowed,
    response: notAllowed,
    'amqp header': framing,
    'sasl header': framing,
  },
  attached: {
    others: [],
    open: illegal,
    begin: illegal,
    attach: ['end amqp:session:handle-in-use'],
    transfer: ['receiver 0 settled accepted'],
    detach: ['detach 0 closed'],
    end: ['end'],
    close: ['close', 'closed'],
    init: notAllowed,
    response: notAllowed,
    'amqp header': framing,
    'sasl header': framing,
  },
  refused: {
    others: [],
    open: illegal,
    begin: illegal,
    attach: ['end amqp:session:handle-in-use'],
    end: ['end'],
    close: ['close', 'closed'],
    init: notAllowed,
    response: notAllowed,
    'amqp header': framing,
    'sasl header': framing,
  },
  'ended by us': {
    others: [],
    open: illegal,
    begin: illegal,
    close: ['close', 'closed'],
    init: notAllowed,
    response: notAllowed,
    'amqp header': framing,
    'sasl header': framing,
  },
  closed: { others: [] },
};

describe('the table of states', () => {
  for (const [state, make] of Object.entries(states)) {
    // A link that we have detached is to its peer as one that was refused.
    const row = table[state === 'detached by us' ? 'refused' : state]!;
    test(state, () => {
      for (const [name, bytes] of Object.entries(inputs)) {
        const dialogue = make();
        dialogue.send(bytes);
        assert.deepEqual(dialogue.heard(), row[name] ?? row['others'], name);
        dialogue.lose();
        const { sessions } = dialogue.broker;
        assert.ok(!sessions.some((session) => session.isAttached), `${name}: every session is given back`);
        assert.equal(dialogue.server.counters.connections, 0);
        assert.equal(dialogue.server.counters.sessions, 0);
        assert.deepEqual(dialogue.server.counters.links, { in: 0, out: 0 });
      }
    });
  }
});

/** The frame with its body cut at `bytes`, and a size that says so. */
function cutBody(whole: Uint8Array, bytes: number): Uint8Array {
  const cut = whole.slice(0, bytes);
  new DataView(cut.buffer).setUint32(0, bytes);
  return cut;
}

test('every frame cut at every byte of its body: a condition, or a shorter message', () => {
  const makers: Readonly<Record<string, () => Dialogue>> = {
    open: states['awaiting open']!,
    begin: states['opened']!,
    attach: states['begun']!,
  };
  for (const [name, whole] of Object.entries(inputs)) {
    if (name.endsWith('header') || name === 'init' || name === 'response') continue;
    const make = makers[name] ?? states['attached']!;
    for (let bytes = 9; bytes < whole.length; bytes++) {
      const dialogue = make();
      dialogue.send(cutBody(whole, bytes));
      const heard = dialogue.heard().join();
      // Only behind a transfer there is something that is no part of the performative.
      const expected =
        name === 'transfer' && bytes >= whole.length - 6
          ? /^receiver 0 settled (accepted|rejected amqp:decode-error)$/
          : /^(open,)?close amqp:(decode-error|not-implemented),closed$/;
      assert.match(heard, expected, `${name} cut at ${bytes}`);
    }
  }
  for (const name of ['init', 'response']) {
    const whole = inputs[name]!;
    const make = states[name === 'init' ? 'awaiting sasl-init' : 'awaiting a response']!;
    for (let bytes = 8; bytes < whole.length; bytes++) {
      const dialogue = make();
      dialogue.send(cutBody(whole, bytes));
      assert.deepEqual(dialogue.heard(), ['closed'], `${name} cut at ${bytes}`);
    }
  }
});

test('every bit of every frame turned: nothing is thrown, and everything is given back', () => {
  for (const [name, whole] of Object.entries(inputs)) {
    for (let at = 0; at < whole.length; at++) {
      for (const bit of [0x01, 0x10, 0x80]) {
        const bytes = whole.slice();
        bytes[at]! ^= bit;
        for (const state of ['awaiting open', 'begun', 'attached', 'awaiting sasl-init']) {
          const dialogue = states[state]!();
          dialogue.send(bytes);
          dialogue.heard();
          dialogue.lose();
          assert.ok(!dialogue.broker.sessions.some((session) => session.isAttached), `${name} ${at} ${state}`);
        }
      }
    }
  }
});

/** A frame whose body is any value. */
function rawFrame(body: Uint8Array): Uint8Array {
  const head = Buffer.from([0, 0, 0, 0, 2, 0, 0, 0]);
  head.writeUInt32BE(8 + body.length);
  return new Uint8Array(Buffer.concat([head, body]));
}

function described(code: bigint, fields: readonly AmqpValue[]): AmqpValue {
  return { type: 'described', descriptor: { type: 'ulong', value: code }, value: { type: 'list', value: fields } };
}

test('types that do not belong where they are, and nesting without end', () => {
  let deep: AmqpValue = { type: 'list', value: [] };
  for (let i = 0; i < 200; i++) deep = { type: 'list', value: [deep] };
  const text: AmqpValue = { type: 'string', value: 'link' };
  const zero: AmqpValue = { type: 'uint', value: 0 };
  const sender: AmqpValue = { type: 'boolean', value: false };
  const none: AmqpValue = { type: 'null', value: null };
  const cases: readonly (readonly [string, RegExp, AmqpValue])[] = [
    ['an unknown performative', /close amqp:not-implemented/, described(0x99n, [])],
    ['no list', /close amqp:decode-error/, { type: 'described', descriptor: { type: 'ulong', value: 0x12n }, value: text }],
    ['a name that is a number', /close amqp:decode-error/, described(0x12n, [zero, zero, sender])],
    ['no handle', /close amqp:decode-error/, described(0x12n, [text, none, sender])],
    ['a source of another type', /close amqp:not-implemented/, described(0x12n, [text, zero, sender, none, none, described(0x29n, [])])],
    ['a settle mode that there is not', /close amqp:invalid-field/, described(0x12n, [text, zero, sender, { type: 'ubyte', value: 9 }])],
    [
      'nested without end',
      /close amqp:/,
      described(0x12n, [text, zero, sender, none, none, none, none, none, none, none, none, none, none, deep]),
    ],
    ['too many fields', /close amqp:decode-error/, described(0x17n, [none, none])],
  ];
  for (const [name, expected, value] of cases) {
    const dialogue = states['begun']!();
    dialogue.send(rawFrame(encodeValue(value)));
    assert.match(dialogue.heard().join(), expected, name);
    assert.equal(dialogue.connection.state, 'closed', name);
  }
});
