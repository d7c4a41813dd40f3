// Any datagrams to a DTLS server, from strangers and from the addresses of two peers that have sessions: one known by its address, one by
// its Connection ID. Randomness is seeded, so a recorded handshake is one again.

import assert from 'node:assert/strict';
import { DtlsStand } from '../../../src/net/dtls/testing/dtls-stand.ts';
import type { TestClient } from '../../../src/net/dtls/testing/test-client.ts';
import type { PeerAddress } from '../../../src/net/dtls/endpoint.ts';
import type { Target } from '../target.ts';

const witnessAddress: PeerAddress = { address: '192.0.2.1', port: 1 };
const moverAddress: PeerAddress = { address: '192.0.2.2', port: 2 };
const strangers: readonly PeerAddress[] = [
  { address: '203.0.113.1', port: 1 },
  { address: '203.0.113.1', port: 2 },
];
const origins = [...strangers, witnessAddress, moverAddress];
const pskSuites = ['PSK-AES128-CCM8'] as const;
const cid = Buffer.from('c1d0', 'hex');
const maxPending = 3;

type World = { readonly stand: DtlsStand; readonly witness: TestClient; readonly mover: TestClient };

function newWorld(): World {
  const stand = new DtlsStand({ limits: { pendingHandshakes: maxPending } });
  const witness = stand.connect({ suites: pskSuites }, witnessAddress);
  const mover = stand.connect({ suites: pskSuites, cid }, moverAddress);
  return { stand, witness, mover };
}

/** A byte that says from where (its upper bits: how much time passes), two for the length, the datagram. */
function entry(origin: number, datagram: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(origin, datagram.length >> 8, datagram.length & 0xff), datagram]);
}

function run(input: Uint8Array): readonly string[] {
  const { stand, witness, mover } = newWorld();
  const { endpoint } = stand;
  let at = 0;
  while (at + 3 <= input.length) {
    const head = input[at]!;
    const length = (input[at + 1]! << 8) | input[at + 2]!;
    const datagram = input.subarray(at + 3, at + 3 + length);
    at += 3 + length;
    const before = stand.mail.size;
    stand.deliver(datagram, origins[head & 3]!);
    const time = (head >> 2) & 7;
    if (time > 0) stand.pass(10 ** (time - 2));
    assert.ok(stand.mail.size <= before + 1, 'only the sender is answered');
    assert.ok(endpoint.counters.handshakesPending <= maxPending, 'pending handshakes are bounded');
  }
  const words = [
    ...dropWords(stand),
    ...stand.effects.slice(2).map((effect) => ('reason' in effect ? `${effect.kind}-${effect.reason}` : effect.kind)),
  ];
  for (const [name, client] of Object.entries({ witness, mover })) {
    stand.deliver(client.seal(Buffer.from(name)), client === mover ? moverAddress : witnessAddress);
    assert.equal(Buffer.from(stand.last('data').bytes).toString(), name, 'sessions that are open are not disturbed');
  }
  assert.ok(
    stand.of('closed').every(({ session }) => session > 2),
    'nor closed',
  );
  stand.pass(70_000);
  assert.equal(endpoint.counters.handshakesPending, 0, 'handshakes come to an end');
  return words;
}

function dropWords({ endpoint: { counters } }: DtlsStand): string[] {
  return Object.entries(counters.dropped).flatMap(([reason, count]) => (count > 0 ? [reason] : []));
}

/** What a client with a pre-shared key sends, in the world in which it will be sent again. */
function recorded(origin: number): Uint8Array {
  const { stand } = newWorld();
  const client = stand.client({ suites: pskSuites, cid });
  const sent: Buffer[] = [];
  client.start(stand.now);
  for (let datagrams = client.takeOut(); datagrams.length > 0; datagrams = client.takeOut()) {
    for (const datagram of datagrams) {
      sent.push(entry(origin, datagram));
      stand.deliver(datagram, origins[origin]);
    }
    for (const datagram of stand.fetch(origins[origin])) client.receive(datagram, stand.now);
  }
  return Buffer.concat([...sent, entry(origin, client.seal(Buffer.from('data'))), entry(origin, client.goodbye())]);
}

export const target: Target = {
  name: 'dtls-record',
  properties: [
    'no datagram makes the server throw, and only its sender is answered',
    'handshakes under way are bounded, and all come to an end',
    'sessions that are open, known by address or by Connection ID, are neither disturbed nor closed',
  ],
  covers: /\/src\/net\/dtls\/(?!testing)/,
  maxBytes: 4096,
  slowMs: 200,
  seeds: [recorded(0), recorded(1), entry(2, Buffer.alloc(40, 22)), entry(3, Buffer.from('19fefd0001000000000005', 'hex'))],
  dictionary: ['16fefd0000', '17fefd0001', '19fefd0001', '14fefd0000', '15fefd0000', '0100', '00360003', 'ff01000100'].map((hex) =>
    Buffer.from(hex, 'hex'),
  ),
  run,
};
