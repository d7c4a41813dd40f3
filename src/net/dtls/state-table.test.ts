// Every message in every state, in clear and protected: only the one that is due leads on, nothing throws, and nothing but the right order opens
// a session (RFC 5246 §7.3).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FlightMessage } from './flight.ts';
import { fragmentOf, messageTypes } from './handshake-message.ts';
import { clientAddress, deviceProof, DtlsStand } from './testing/dtls-stand.ts';
import { contentTypes } from './record.ts';
import type { TestClient } from './testing/test-client.ts';

type Way = { readonly name: string; readonly options: Parameters<DtlsStand['client']>[0]; readonly steps: readonly Step[] };
type Step = 'certificate' | 'key-exchange' | 'certificate-verify' | 'finished';

const ways: readonly Way[] = [
  {
    name: 'with certificate',
    options: { proof: deviceProof, suites: ['ECDHE-ECDSA-AES128-CCM'] },
    steps: ['certificate', 'key-exchange', 'certificate-verify', 'finished'],
  },
  {
    name: 'with an empty certificate',
    options: { suites: ['ECDHE-ECDSA-AES128-CCM'] },
    steps: ['certificate', 'key-exchange', 'finished'],
  },
  { name: 'with a pre-shared key', options: { suites: ['ECDHE-PSK-AES128-CCM-SHA256'] }, steps: ['key-exchange', 'finished'] },
];

const allTypes = [...Object.values(messageTypes), 4, 21, 22, 23, 24, 255];

/** A client that has got the server's flight and then does as it is told. */
function ready(way: Way): { stand: DtlsStand; client: TestClient } {
  const stand = new DtlsStand();
  const client = stand.client({ ...way.options, isManual: true });
  client.start(stand.now);
  stand.exchange(client);
  assert.equal(client.state, 'flight');
  return { stand, client };
}

function make(client: TestClient, step: Step): FlightMessage {
  if (step === 'certificate') return client.certificate();
  if (step === 'key-exchange') return client.keyExchange();
  return step === 'certificate-verify' ? client.certificateVerify() : client.finished();
}

function sendStep(stand: DtlsStand, client: TestClient, step: Step): void {
  const message = make(client, step);
  stand.deliver(step === 'finished' ? client.sealMessage(message) : client.clearMessage(message));
}

const typeOf = {
  certificate: messageTypes.certificate,
  'key-exchange': messageTypes.clientKeyExchange,
  'certificate-verify': messageTypes.certificateVerify,
  finished: messageTypes.finished,
};

/** What the next thing sent leads to. */
function outcome(stand: DtlsStand): string {
  if (stand.of('opened').length > 0) return 'open';
  return stand.of('failed').at(-1)?.reason ?? 'waiting';
}

for (const way of ways) {
  test(`${way.name}: in its order it opens, after no step earlier`, () => {
    const { stand, client } = ready(way);
    for (const step of way.steps) {
      assert.equal(outcome(stand), 'waiting');
      sendStep(stand, client, step);
    }
    assert.equal(outcome(stand), 'open');
    stand.exchange(client);
  });

  for (const [i, due] of way.steps.entries()) {
    test(`${way.name}, ${due} is due: any other message in clear does not lead on`, () => {
      for (const type of allTypes) {
        if (type === typeOf[due]) continue;
        const { stand, client } = ready(way);
        for (const step of way.steps.slice(0, i)) sendStep(stand, client, step);
        const body = Buffer.alloc(12);
        stand.deliver(client.clearMessage({ type, sequence: client.nextSequence, body }));
        // Where Finished is due, what comes in clear may be anybody's, and is passed over; so is a hello that cannot be read.
        const isPassedOver = due === 'finished' || type === messageTypes.clientHello;
        assert.equal(outcome(stand), isPassedOver ? 'waiting' : 'protocol', `message ${type}`);
        if (!isPassedOver) assert.deepEqual(alertIn(stand), 10, `message ${type}`);
      }
    });

    test(`${way.name}, ${due} is due: the right message the wrong way, or Finished too early, opens nothing`, () => {
      const { stand, client } = ready(way);
      for (const step of way.steps.slice(0, i)) sendStep(stand, client, step);
      // Finished in clear.
      if (due === 'finished') {
        const finished = client.finished();
        stand.deliver(client.clearMessage(finished));
        assert.equal(outcome(stand), 'waiting');
        assert.equal(stand.endpoint.counters.dropped.unexpected, 1);
        stand.deliver(client.sealMessage(finished));
        assert.equal(outcome(stand), 'open', 'what came in clear has not taken its place');
        return;
      }
      const skipped = make(client, due);
      if (client.sealer === undefined) return;
      // What belongs in clear, protected.
      stand.deliver(client.sealMessage(skipped));
      assert.equal(outcome(stand), 'waiting');
      // Finished over a transcript without it.
      client.nextSequence = skipped.sequence;
      client.transcript.pop();
      stand.deliver(client.sealMessage(client.finished()));
      assert.notEqual(outcome(stand), 'open');
      stand.pass(61_000);
      assert.deepEqual(stand.of('opened'), []);
      assert.equal(stand.endpoint.counters.handshakesPending, 0);
    });
  }

  test(`${way.name}: each message twice changes nothing`, () => {
    const { stand, client } = ready(way);
    for (const step of way.steps) {
      const message = make(client, step);
      const send = (): void => stand.deliver(step === 'finished' ? client.sealMessage(message) : client.clearMessage(message));
      send();
      send();
    }
    assert.equal(stand.of('opened').length, 1);
  });

  test(`${way.name}: the messages in any order open all the same, because they are put in order`, () => {
    for (let rotation = 0; rotation < way.steps.length; rotation++) {
      const { stand, client } = ready(way);
      const datagrams = way.steps.map((step) => {
        const message = make(client, step);
        return step === 'finished' ? client.sealMessage(message) : client.clearMessage(message);
      });
      for (const datagram of [...datagrams.slice(rotation), ...datagrams.slice(0, rotation)].toReversed()) stand.deliver(datagram);
      assert.equal(outcome(stand), 'open', `rotated by ${rotation}`);
    }
  });
}

function alertIn(stand: DtlsStand): number | undefined {
  const last = stand.fetch(clientAddress).at(-1);
  return last?.[0] === contentTypes.alert ? last[14] : undefined;
}

test('Finished that is wrong in one bit is refused with decrypt_error', () => {
  const { stand, client } = ready(ways[2]!);
  sendStep(stand, client, 'key-exchange');
  const finished = client.finished();
  finished.body[0]! ^= 1;
  stand.deliver(client.sealMessage(finished));
  assert.equal(outcome(stand), 'protocol');
  assert.equal(alertIn(stand), 51);
});

test('a Finished with the number of another message is refused', () => {
  const { stand, client } = ready(ways[2]!);
  sendStep(stand, client, 'key-exchange');
  stand.deliver(client.sealMessage({ ...client.finished(), sequence: 9 }));
  assert.equal(outcome(stand), 'protocol');
});

test('a signature of a key of another kind, or by an unknown algorithm, is refused', () => {
  for (const scheme of ['0401', '0804', '0203', '0807', 'ffff']) {
    const { stand, client } = ready(ways[0]!);
    sendStep(stand, client, 'certificate');
    sendStep(stand, client, 'key-exchange');
    const verify = client.certificateVerify();
    Buffer.from(scheme, 'hex').copy(verify.body as Buffer);
    stand.deliver(client.clearMessage(verify));
    assert.equal(outcome(stand), 'certificate');
    assert.equal(alertIn(stand), 51);
  }
});

test('a CertificateVerify over another transcript is refused', () => {
  const { stand, client } = ready(ways[0]!);
  sendStep(stand, client, 'certificate');
  sendStep(stand, client, 'key-exchange');
  client.transcript.push(Buffer.of(0));
  stand.deliver(client.clearMessage(client.certificateVerify()));
  assert.equal(outcome(stand), 'certificate');
});

test('a point that is not on the curve is refused', () => {
  for (const point of [Buffer.alloc(65, 4), Buffer.of(0), Buffer.alloc(33, 2), Buffer.alloc(65)]) {
    const { stand, client } = ready(ways[1]!);
    sendStep(stand, client, 'certificate');
    stand.deliver(client.clearMessage({ type: 16, sequence: client.nextSequence, body: Buffer.concat([Buffer.of(point.length), point]) }));
    assert.equal(outcome(stand), 'protocol');
    assert.equal(alertIn(stand), 47);
  }
});

test('messages with too few or too many bytes are refused with decode_error', () => {
  for (const change of [(body: Uint8Array) => body.subarray(0, -1), (body: Uint8Array) => Buffer.concat([body, Buffer.of(0)])]) {
    const { stand, client } = ready(ways[0]!);
    const message = client.certificate();
    stand.deliver(client.clearMessage({ ...message, body: change(message.body) }));
    assert.equal(outcome(stand), 'protocol');
    assert.equal(alertIn(stand), 50);
  }
});

test('a fatal alert of the client ends its handshake; one about our certificate is told apart', () => {
  for (const [code, reason] of [
    [48, 'distrusted'],
    [40, 'parameters'],
    [80, 'protocol'],
  ] as const) {
    const { stand, client } = ready(ways[0]!);
    stand.deliver(client.clear(contentTypes.alert, Buffer.of(2, code)));
    assert.equal(outcome(stand), reason);
    assert.equal(stand.endpoint.counters.handshakesPending, 0);
  }
});

test('a warning, data in clear, ChangeCipherSpec alone and a record of another epoch change nothing', () => {
  const { stand, client } = ready(ways[2]!);
  stand.deliver(client.clear(contentTypes.alert, Buffer.of(1, 90)));
  stand.deliver(client.clear(contentTypes.applicationData, Buffer.from('early')));
  stand.deliver(client.clear(contentTypes.changeCipherSpec, Buffer.of(1)));
  const other = client.clear(contentTypes.handshake, fragmentOf(20, 9, Buffer.alloc(12)));
  other[4] = 2;
  stand.deliver(other);
  for (const step of ways[2]!.steps) sendStep(stand, client, step);
  assert.equal(outcome(stand), 'open');
});
