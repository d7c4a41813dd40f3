// MQTT connections on a real broker. An input is a byte of settings and a list of steps: up to three clients connect, send any
// bytes, stop reading, answer, vanish; time passes; the journal is slow; the power fails.

import { encode, prefixed } from '../../harness/encode.ts';
import type { ClientPacket, Version } from '../../harness/packet.ts';
import { mutateFrames } from '../mqtt-frames.ts';
import { clientPackets, words } from '../mqtt-seeds.ts';
import { World } from '../mqtt-world.ts';
import { decodeSteps, encodeSteps, mutateSteps, type Step } from '../steps.ts';
import type { Target } from '../target.ts';

/** Also the names of what must not be touched. */
const dictionary = [
  ...words,
  ...['witness', 'witness/own', 'secret/x', 'secret/#', '$share/g/secret/x', 'refused'].map((text) => new Uint8Array(prefixed(text))),
];

async function run(input: Uint8Array): Promise<readonly string[]> {
  const settings = input[0] ?? 0;
  const world = await World.start({ rejectNew: (settings & 1) !== 0, open: (settings & 2) !== 0 });
  for (const step of decodeSteps(input.subarray(1))) {
    await apply(world, step);
    world.check();
  }
  world.askWitness();
  world.end();
  return [...world.words];
}

async function apply(world: World, step: Step): Promise<void> {
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

const send = (peer: number, version: Version, ...packets: ClientPacket[]): Step => ({
  kind: 'send',
  peer,
  amount: 0,
  bytes: new Uint8Array(Buffer.concat(packets.map((packet) => encode(packet, version)))),
});
const step = (kind: Step['kind'], peer = 0, amount = 0): Step => ({ kind, peer, amount, bytes: new Uint8Array(0) });

function seedOf(settings: number, steps: readonly Step[]): Uint8Array {
  return new Uint8Array(Buffer.concat([Uint8Array.of(settings), encodeSteps(steps)]));
}

/** A durable subscriber hears a publisher, goes away, comes back; another takes its session over. */
function life(version: Version, qos: number): Step[] {
  const expiry = version === 5 ? { properties: { sessionExpiryInterval: 600 } } : {};
  const connect: ClientPacket = { type: 'connect', clientId: 's', clean: false, ...expiry };
  const publish = (id: number, payload: string): ClientPacket => ({
    type: 'publish',
    topic: 'a/b',
    payload,
    qos,
    ...(qos > 0 ? { id } : {}),
  });
  return [
    send(0, version, connect, { type: 'subscribe', id: 1, subscriptions: [{ filter: 'a/+', qos }] }),
    step('settle'),
    send(1, version, { type: 'connect', clientId: 'p', will: { topic: 'a/w', payload: 'gone', qos, retain: true } }, publish(1, 'one')),
    step('endTurn'),
    step('commit'),
    step('answer', 1),
    step('answer', 0),
    step('settle'),
    step('answer', 1),
    step('lose', 0),
    send(1, version, publish(2, 'two'), publish(3, 'three')),
    step('settle'),
    send(0, version, connect),
    step('settle'),
    step('take', 0),
    send(2, version, connect),
    step('settle'),
    step('answer', 2),
    step('lose', 1),
    step('advance', 0, 12),
    step('answer', 2),
    send(2, version, publish(4, 'four')),
    step('restart'),
    send(0, version, connect),
    step('settle'),
    step('answer', 0),
    step('shutDown', 0),
  ];
}

function seeds(): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (const version of [3, 4, 5] as const) {
    for (const qos of [0, 1, 2]) all.push(seedOf(qos, life(version, qos)));
    const [plain, withWill, ...rest] = clientPackets(version);
    const everything = { kind: 'send', peer: 0, amount: 0, bytes: new Uint8Array(Buffer.concat([plain!, ...rest])) } as const;
    all.push(seedOf(2, [everything, step('settle'), step('answer')]));
    all.push(seedOf(1, [{ ...everything, bytes: new Uint8Array(withWill!) }, step('settle'), step('lose'), step('settle')]));
  }
  const shared: ClientPacket = {
    type: 'subscribe',
    id: 1,
    subscriptions: [
      { filter: '$share/g/a/#', qos: 1 },
      { filter: '$queue/jobs', qos: 1 },
    ],
  };
  const job = (id: number, topic: string): ClientPacket => ({ type: 'publish', topic, payload: `${id}`, qos: 1, id });
  all.push(
    seedOf(0, [
      send(0, 5, { type: 'connect', clientId: 'x' }, shared),
      send(1, 4, { type: 'connect', clientId: 'y' }, shared),
      send(2, 5, { type: 'connect', clientId: 'z' }, job(1, 'a/1'), job(2, '$queue/jobs'), job(3, 'a/2'), job(4, '$queue/jobs')),
      step('settle'),
      step('answer', 0),
      step('lose', 1),
      step('settle'),
      step('answer', 0),
    ]),
  );
  all.push(seedOf(2, [send(0, 5, { type: 'connect', clientId: 'deaf' }), step('settle'), ...deafness()]));
  return all;
}

/** A client asks for the same large retained messages again and again, is sent others too, and reads nothing. */
function deafness(): Step[] {
  const steps: Step[] = [];
  for (const topic of ['a/1', 'a/2']) {
    steps.push(send(0, 5, { type: 'publish', topic, payload: 'x'.repeat(2000), retain: true }));
  }
  for (let id = 1; id <= 12; id++) {
    steps.push(send(0, 5, { type: 'subscribe', id, subscriptions: [{ filter: 'a/+', qos: id % 3 }] }), step('settle'));
  }
  for (let n = 0; n < 14; n++) {
    const connect: ClientPacket[] = n === 0 ? [{ type: 'connect', clientId: 'loud' }] : [];
    steps.push(send(1, 5, ...connect, { type: 'publish', topic: 'a/3', payload: 'y'.repeat(2000) }), step('endTurn'));
  }
  return steps;
}

export const target: Target = {
  name: 'mqtt-connection',
  properties: [
    'nothing throws, whatever clients send and whenever they vanish',
    'whatever the server writes is MQTT as the standard wants it, by a decoder of its own',
    "the broker's books add up after every step",
    'what is held for a client that does not read is bounded',
    'another client is answered and hears its messages, and nobody takes its session',
    'nobody hears what the access rules keep from them',
    'when all are gone and time has passed, no session is left',
  ],
  covers: /\/src\/(broker\/(\w+\/)?[^/]+|protocols\/mqtt\/[^/]+)\.ts$/,
  maxBytes: 40_960,
  slowMs: 1000,
  seeds: seeds(),
  dictionary,
  mutate: (input, random, other) => {
    const changed = mutateSteps(decodeSteps(input.subarray(1)), {
      random,
      other: () => decodeSteps(other().subarray(1)),
      words: dictionary,
      mutateStream: mutateFrames,
    });
    return Buffer.concat([Uint8Array.of(random.below(8) === 0 ? random.below(4) : (input[0] ?? 0)), encodeSteps(changed)]);
  },
  run,
};
