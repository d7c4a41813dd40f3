// AMQP connections on a real broker. An input is a byte of settings and a list of steps: up to three peers connect, send any bytes, stop
// reading, answer, vanish; time passes; the journal is slow; the power fails.

import * as codec from '../../../src/protocols/amqp/codec/index.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { mutateAmqpFrames } from '../amqp-frames.ts';
import { amqpFrames, amqpWords } from '../amqp-seeds.ts';
import { AmqpWorld } from '../amqp-world.ts';
import { decodeSteps, encodeSteps, mutateSteps, type Step } from '../steps.ts';
import type { Target } from '../target.ts';

/** Also the names of what must not be touched. */
const dictionary = [
  ...amqpWords,
  ...[
    'witness',
    'witness/own',
    'secret/x',
    'secret/#',
    '#',
    '$share/g/secret/x',
    '$queue/jobs',
    'queue:jobs',
    'refused',
    '$management',
    '$cbs',
  ].map((text) => codec.encodeValue(codec.stringValue(text))),
  ...['never', 'link-detach', 'queue', 'topic', 'shared', 'copy', 'x-opt-retain', 'x-opt-delivery-delay'].map((text) =>
    codec.encodeValue(codec.symbolValue(text)),
  ),
];

async function run(input: Uint8Array): Promise<readonly string[]> {
  const settings = input[0] ?? 0;
  const world = await AmqpWorld.start({ rejectNew: (settings & 1) !== 0, open: (settings & 2) !== 0 });
  for (const step of decodeSteps(input.subarray(1))) {
    await apply(world, step);
    world.check();
  }
  world.askWitness();
  world.end();
  return [...world.words];
}

async function apply(world: AmqpWorld, step: Step): Promise<void> {
  const peer = world.peers[step.peer];
  switch (step.kind) {
    case 'open':
      world.open(step.peer);
      return;
    case 'send':
      world.open(step.peer);
      world.peers[step.peer]!.send(step.bytes);
      return;
    case 'lose':
      peer?.lose();
      return;
    case 'take':
      peer?.take();
      return;
    case 'answer':
      if (peer !== undefined && !peer.gone) peer.answerAll();
      return;
    case 'endTurn':
      world.endTurn();
      return;
    case 'commit':
      world.test.commit();
      return;
    case 'settle':
      world.settle();
      return;
    case 'advance':
      world.advance(2 ** (step.amount % 24));
      return;
    case 'shutDown':
      if (peer !== undefined && !peer.gone) peer.connection.shutDown();
      world.endTurn();
      return;
    case 'restart':
      await world.restart();
  }
}

// --- Seeds

const send = (peer: number, ...pieces: readonly Uint8Array[]): Step => ({
  kind: 'send',
  peer,
  amount: 0,
  bytes: new Uint8Array(Buffer.concat(pieces)),
});
const step = (kind: Step['kind'], peer = 0, amount = 0): Step => ({ kind, peer, amount, bytes: new Uint8Array(0) });
const say = (performative: codec.Performative): Uint8Array => frames.frame(0, performative);
const hello = (containerId: string): readonly Uint8Array[] => [frames.header(), say({ ...frames.open, containerId }), say(frames.begin)];

function seedOf(settings: number, steps: readonly Step[]): Uint8Array {
  return new Uint8Array(Buffer.concat([Uint8Array.of(settings), encodeSteps(steps)]));
}

function receiver(handle: number, source: Partial<codec.Source>, more: Partial<codec.Attach> = {}): Uint8Array {
  const name = `r${handle}`;
  return say({
    type: 'attach',
    name,
    handle,
    role: 'receiver',
    source: { type: 'source', ...source },
    target: { type: 'target' },
    ...more,
  });
}

function sender(handle: number, address: string | undefined, more: Partial<codec.Attach> = {}): Uint8Array {
  const target = { type: 'target', ...(address !== undefined && { address }) } as const;
  return say(frames.senderAttach({ handle, name: `s${handle}`, target, ...more }));
}

function credit(handle: number, linkCredit: number, drain = false): Uint8Array {
  const window = { nextIncomingId: 0, incomingWindow: 100, nextOutgoingId: 0, outgoingWindow: 100 };
  return say({ type: 'flow', ...window, handle, deliveryCount: 0, linkCredit, drain });
}

/** A durable subscriber hears a publisher, goes away, comes back and takes up its link; another steals it. */
function life(rcvSettleMode: codec.ReceiverSettleMode, settled: boolean): Step[] {
  const source = { address: 'a/+', durable: 2, expiryPolicy: 'never', timeout: 600 } as const;
  const attach = (unsettled?: codec.UnsettledMap): Uint8Array => receiver(0, source, { rcvSettleMode, ...(unsettled && { unsettled }) });
  const publish = (id: number): Uint8Array => frames.transfer(id, `${id}`, { settled });
  return [
    send(0, ...hello('s'), attach(), credit(0, 5)),
    step('settle'),
    send(1, ...hello('p'), sender(0, 'a/b', { rcvSettleMode }), publish(0), publish(1)),
    step('endTurn'),
    step('commit'),
    step('answer', 1),
    step('answer', 0),
    step('settle'),
    step('answer', 1),
    send(1, publish(2), publish(3)),
    step('settle'),
    step('take', 0),
    step('lose', 0),
    send(0, ...hello('s'), attach(new Map([['\u0003', undefined]])), credit(0, 5)),
    step('settle'),
    step('answer', 0),
    send(2, ...hello('s'), attach(), credit(0, 5, true)),
    step('settle'),
    step('answer', 2),
    step('advance', 0, 12),
    step('restart'),
    send(0, ...hello('s'), attach(), credit(0, 5)),
    step('settle'),
    step('answer', 0),
    step('shutDown', 0),
  ];
}

/** Two competing consumers of a queue: they release, reject, modify, browse. */
function competition(): Step[] {
  const answer = (first: number, state: codec.DeliveryState): Uint8Array =>
    say({ type: 'disposition', role: 'receiver', first, settled: true, state });
  return [
    send(0, ...hello('x'), receiver(0, { address: 'queue:jobs' }), credit(0, 2)),
    send(1, ...hello('y'), receiver(0, { address: '$queue/jobs', distributionMode: 'copy' }), credit(0, 9)),
    send(2, ...hello('z'), sender(0, 'queue:jobs'), ...[0, 1, 2, 3].map((id) => frames.transfer(id, `job ${id}`))),
    step('settle'),
    send(0, answer(0, { type: 'released' }), answer(1, { type: 'modified', deliveryFailed: true }), credit(0, 5)),
    step('settle'),
    send(0, answer(2, { type: 'rejected', error: { type: 'error', condition: 'x:no' } }), credit(0, 9, true)),
    step('settle'),
    send(0, say({ type: 'detach', handle: 0, closed: true }), say({ type: 'end' }), say({ type: 'close' })),
    step('lose', 1),
    step('settle'),
  ];
}

/** Publishes and settles in transactions: one is committed, one rolled back, one refused, one left open. */
function transactions(): Step[] {
  const coordinator = { type: 'coordinator', capabilities: ['amqp:local-transactions'] } as const;
  const request = (deliveryId: number, what: codec.Declare | codec.Discharge): Uint8Array => {
    const body = new codec.ValueWriter();
    body.descriptor(codec.SectionCode.value);
    codec.writeCoordination(body, what);
    return frames.frame(
      0,
      { type: 'transfer', handle: 1, deliveryId, deliveryTag: Uint8Array.of(deliveryId), messageFormat: 0 },
      body.copy(),
    );
  };
  const control = say(frames.senderAttach({ name: 'tx', handle: 1, target: coordinator }));
  const steps: Step[] = [send(0, ...hello('t'), sender(0, 'a/b'), control, receiver(2, { address: 'a/+' }), credit(2, 9)), step('settle')];
  for (let n = 0; n < 4; n++) {
    // Transactions of a connection are numbered from 1.
    const txnId = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, n + 1);
    const state = { type: 'transactional-state', txnId } as const;
    const takes = {
      type: 'disposition',
      role: 'receiver',
      first: n,
      settled: true,
      state: { ...state, outcome: { type: 'accepted' } },
    } as const;
    const id = n * 4;
    steps.push(send(0, frames.transfer(id, `outside ${n}`), request(id + 1, { type: 'declare' })), step('settle'));
    steps.push(send(0, frames.transfer(id + 2, `within ${n}`, { state }), say(takes)), step('settle'));
    const named = n === 2 ? Uint8Array.of(9) : txnId;
    if (n < 3) steps.push(send(0, request(id + 3, { type: 'discharge', txnId: named, fail: n === 1 })), step('settle'), step('answer'));
  }
  return [...steps, step('advance', 0, 17), step('lose', 0), step('settle')];
}

function seeds(): Uint8Array[] {
  const all = [seedOf(0, competition()), seedOf(1, competition()), seedOf(0, transactions()), seedOf(2, transactions().slice(0, -3))];
  for (const mode of [0, 1] as const) for (const settled of [false, true]) all.push(seedOf(mode, life(mode, settled)));
  const sasl = [
    frames.header(codec.ProtocolId.sasl),
    frames.sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: new Uint8Array(Buffer.from('\0u\0p')) }),
    ...hello('sasl'),
  ];
  all.push(seedOf(0, [send(0, ...sasl), step('settle'), step('answer')]));
  all.push(seedOf(2, [send(0, ...hello('e'), ...amqpFrames()), step('settle'), step('answer')]));
  for (const frame of amqpFrames()) all.push(seedOf(2, [send(0, ...hello('e'), sender(0, 'a/b'), frame), step('settle'), step('answer')]));
  const dynamic = receiver(2, { dynamic: true }, { rcvSettleMode: 0 });
  const nodes = [sender(0, undefined), sender(1, '$management'), receiver(3, { address: '$management' }), dynamic, credit(3, 5)];
  all.push(seedOf(0, [send(0, ...hello('n'), ...nodes), step('settle'), send(0, frames.transfer(0, 'x')), step('settle'), step('answer')]));
  const filter = new Map([
    [
      's',
      {
        type: 'described',
        descriptor: codec.symbolValue('apache.org:selector-filter:string'),
        value: codec.stringValue("a = 'b'"),
      } as const,
    ],
  ]);
  all.push(seedOf(0, [send(0, ...hello('f'), receiver(0, { address: 'a/#', filter }), credit(0, 5), sender(1, 'a/b')), step('settle')]));
  all.push(seedOf(2, deafness()));
  return all;
}

/** A peer asks for the same large last values again and again, is sent others too, and reads nothing. */
function deafness(): Step[] {
  const retained = new codec.ValueWriter();
  codec.writeMapSection(retained, codec.SectionCode.messageAnnotations, [[codec.symbolValue('x-opt-retain'), codec.trueValue]]);
  const last = Buffer.concat([retained.copy(), frames.dataMessage('x'.repeat(2000))]);
  const transfer = (deliveryId: number): Uint8Array =>
    frames.frame(
      0,
      { type: 'transfer', handle: 0, deliveryId, deliveryTag: Uint8Array.of(deliveryId), messageFormat: 0, settled: true },
      last,
    );
  const steps: Step[] = [send(1, ...hello('loud'), sender(0, 'a/1'), transfer(0)), send(0, ...hello('deaf')), step('settle')];
  for (let n = 0; n < 6; n++)
    steps.push(send(0, receiver(n % 4, { address: 'a/+' }, { name: `l${n}` }), credit(n % 4, 100)), step('settle'));
  for (let n = 1; n < 8; n++) steps.push(send(1, transfer(n)), step('endTurn'));
  return steps;
}

export const target: Target = {
  name: 'amqp-connection',
  properties: [
    'nothing throws, whatever peers send and whenever they vanish',
    'whatever the server writes is AMQP, in frames no larger than agreed',
    "the broker's books add up after every step",
    'what is held for a peer that does not read is bounded',
    'another peer is answered and hears its messages, and nobody takes its links',
    'nobody hears what the access rules keep from them',
    'when all are gone and time has passed, no session is left',
  ],
  covers: /\/src\/(broker\/(\w+\/)?[^/]+|protocols\/amqp\/(nodes\/)?[^/]+)\.ts$/,
  maxBytes: 40_960,
  slowMs: 1000,
  seeds: seeds(),
  dictionary,
  mutate: (input, random, other) => {
    const means = {
      random,
      other: () => decodeSteps(other().subarray(1)),
      words: dictionary,
      mutateStream: mutateAmqpFrames,
    };
    const changed = mutateSteps(decodeSteps(input.subarray(1)), means);
    return Buffer.concat([Uint8Array.of(random.below(8) === 0 ? random.below(4) : (input[0] ?? 0)), encodeSteps(changed)]);
  },
  run,
};
